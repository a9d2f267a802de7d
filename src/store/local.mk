# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/store/block.c src/store/block.h \
	src/store/commit.c src/store/commit.h \
	src/store/damage.c src/store/damage.h \
	src/store/directory.c src/store/directory.h \
	src/store/disk.c src/store/disk.h \
	src/store/disk_metrics.c src/store/disk_metrics.h \
	src/store/entry.c src/store/entry.h \
	src/store/evict.c src/store/evict.h src/store/evict_inside.h src/store/evict_victim.c \
	src/store/generation.c src/store/generation.h \
	src/store/ghost.c src/store/ghost.h \
	src/store/group.c src/store/group.h \
	src/store/guard.c src/store/guard.h \
	src/store/health.c src/store/health.h \
	src/store/homes.c src/store/homes.h \
	src/store/index.c src/store/index.h src/store/index_inside.h src/store/index_scan.c \
	src/store/index_check.c src/store/index_check.h \
	src/store/index_guard.c src/store/index_guard.h \
	src/store/index_row.c src/store/index_row.h \
	src/store/inside.h \
	src/store/intents.c src/store/intents.h \
	src/store/io.c src/store/io.h \
	src/store/label.c src/store/label.h \
	src/store/leaves.c src/store/leaves.h \
	src/store/load.c src/store/load.h \
	src/store/location.h \
	src/store/lost.c src/store/lost.h \
	src/store/marker.c src/store/marker.h \
	src/store/marks.c src/store/marks.h \
	src/store/mount.c src/store/mount.h \
	src/store/names.h \
	src/store/numbers.c src/store/numbers.h \
	src/store/objects.c src/store/objects.h src/store/objects_copies.c src/store/objects_inside.h \
	src/store/objects_rows.c \
	src/store/opening.c src/store/opening.h \
	src/store/peek.c \
	src/store/quota.c src/store/quota.h \
	src/store/rebuild.c src/store/rebuild.h \
	src/store/reclaim.c src/store/reclaim.h \
	src/store/record.c src/store/record.h \
	src/store/recover.c src/store/recover.h \
	src/store/resident.c src/store/resident.h \
	src/store/resync.c src/store/resync.h \
	src/store/reuse.c src/store/reuse.h \
	src/store/round.c src/store/round.h \
	src/store/rows.c src/store/rows.h \
	src/store/sample.h \
	src/store/scribe.c src/store/scribe.h \
	src/store/scrub.c src/store/scrub.h \
	src/store/segment.c src/store/segment.h \
	src/store/sizes.c src/store/sizes.h \
	src/store/slot.c src/store/slot_files.c src/store/slot.h \
	src/store/store.c src/store/store.h \
	src/store/transfer.c src/store/transfer.h \
	src/store/volume.c src/store/volume.h \
	src/store/watch.c src/store/watch.h

check_PROGRAMS += t/unit/test_directory t/unit/test_store_entry t/unit/test_store_evict t/unit/test_store_blocks
t_unit_test_directory_SOURCES = t/unit/test_directory.c t/unit/tap.h
t_unit_test_directory_LDADD = $(UNIT_LDADD)
t_unit_test_store_entry_SOURCES = t/unit/test_store_entry.c t/unit/tap.h
t_unit_test_store_entry_LDADD = $(UNIT_LDADD)
t_unit_test_store_evict_SOURCES = t/unit/test_store_evict.c t/unit/tap.h
t_unit_test_store_evict_LDADD = $(UNIT_LDADD)
t_unit_test_store_blocks_SOURCES = t/unit/test_store_blocks.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_blocks_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_intents
t_unit_test_store_intents_SOURCES = t/unit/test_store_intents.c t/unit/tap.h
t_unit_test_store_intents_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_opening
t_unit_test_store_opening_SOURCES = t/unit/test_store_opening.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_opening_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_guard t/unit/test_store_starts
t_unit_test_store_guard_SOURCES = t/unit/test_store_guard.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_guard_LDADD = $(UNIT_LDADD)
t_unit_test_store_starts_SOURCES = t/unit/test_store_starts.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_starts_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_record
t_unit_test_store_record_SOURCES = t/unit/test_store_record.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_record_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_crash t/unit/test_store_faults
t_unit_test_store_crash_SOURCES = t/unit/test_store_crash.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_crash_LDADD = $(UNIT_LDADD)
t_unit_test_store_faults_SOURCES = t/unit/test_store_faults.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_faults_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_space
t_unit_test_store_space_SOURCES = t/unit/test_store_space.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_space_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_gone t/unit/test_store_hang t/unit/test_store_scrub t/unit/test_store_away \
	t/unit/test_store_copies t/unit/test_store_label
t_unit_test_store_label_SOURCES = t/unit/test_store_label.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_label_LDADD = $(UNIT_LDADD)
t_unit_test_store_copies_SOURCES = t/unit/test_store_copies.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_copies_LDADD = $(UNIT_LDADD)
t_unit_test_store_away_SOURCES = t/unit/test_store_away.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_away_LDADD = $(UNIT_LDADD)
t_unit_test_store_gone_SOURCES = t/unit/test_store_gone.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_gone_LDADD = $(UNIT_LDADD)
t_unit_test_store_hang_SOURCES = t/unit/test_store_hang.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_hang_LDADD = $(UNIT_LDADD)
t_unit_test_store_scrub_SOURCES = t/unit/test_store_scrub.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_scrub_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_peek
t_unit_test_store_peek_SOURCES = t/unit/test_store_peek.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_peek_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_stall
t_unit_test_store_stall_SOURCES = t/unit/test_store_stall.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_stall_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_race
t_unit_test_store_race_SOURCES = t/unit/test_store_race.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_race_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_bounds
t_unit_test_store_bounds_SOURCES = t/unit/test_store_bounds.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_bounds_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_admission
t_unit_test_store_admission_SOURCES = t/unit/test_store_admission.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_admission_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_quota
t_unit_test_store_quota_SOURCES = t/unit/test_store_quota.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_quota_LDADD = $(UNIT_LDADD)

# Not part of the suite: contrib/store-scale.
EXTRA_PROGRAMS = t/bench/store_scale
t_bench_store_scale_SOURCES = t/bench/store_scale.c t/bench/sparse.c t/bench/sparse.h t/unit/store_fixture.c t/unit/store_fixture.h
t_bench_store_scale_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_power
t_unit_test_store_power_SOURCES = t/unit/test_store_power.c t/unit/power_found.c t/unit/power_found.h t/unit/power_work.c \
	t/unit/power_work.h t/unit/power_log.c t/unit/power_log.h t/unit/power_disk.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_power_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_power_sync
t_unit_test_store_power_sync_SOURCES = t/unit/test_store_power_sync.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_power_sync_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_index
t_unit_test_store_index_SOURCES = t/unit/test_store_index.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_index_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_store_rebuild t/unit/test_store_found
t_unit_test_store_rebuild_SOURCES = t/unit/test_store_rebuild.c t/unit/store_rebuild.c t/unit/store_rebuild.h t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_rebuild_LDADD = $(UNIT_LDADD)
t_unit_test_store_found_SOURCES = t/unit/test_store_found.c t/unit/store_rebuild.c t/unit/store_rebuild.h t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_store_found_LDADD = $(UNIT_LDADD)

# Not part of the suite: how long making an index anew takes.
EXTRA_PROGRAMS += t/bench/rebuild_time
t_bench_rebuild_time_SOURCES = t/bench/rebuild_time.c t/unit/store_fixture.c t/unit/store_fixture.h
t_bench_rebuild_time_LDADD = $(UNIT_LDADD)
