# SPDX-License-Identifier: Apache-2.0
systemdsystemunit_DATA = systemd/headpond.service
EXTRA_DIST += systemd/headpond.service.in
CLEANFILES += systemd/headpond.service

# The paths come from configure; SystemCallFilter's own @names stand.
systemd/headpond.service: $(srcdir)/systemd/headpond.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd && \
	sed -e 's,[@]bindir[@],$(bindir),g' -e 's,[@]sysconfdir[@],$(sysconfdir),g' \
		$(srcdir)/systemd/headpond.service.in > $@.tmp && mv $@.tmp $@
