# SPDX-License-Identifier: Apache-2.0
# Disks that cannot do what the configuration says: smaller than `size`, full, read-only, damaged. On file systems of the
# test's own, in memory. What the disk does wrong costs hits, not answers; what the operator did wrong is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";

# Mounts of our own, gone with the process.
BEGIN {
    exec 'unshare', ($> == 0 ? '-m' : '-rm'), $^X, $0, @ARGV or die "unshare: $!" unless $ENV{HEADPOND_OWN_MOUNTS}++;
}
use Headpond;
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob('/acct/data/small', size => 300_000, seed => 1);
$origin->blob('/acct/data/large', size => 200 * $MIB, seed => 2);

sub mounted {
    my ($size) = @_;
    my $dir = Headpond::folder();
    mkdir "$dir/store", 0700;
    system('mount', '-t', 'tmpfs', '-o', "mode=0700,size=$size", 'tmpfs', "$dir/store") == 0 or die 'mount';
    return $dir;
}

sub unmount { system('umount', "$_[0]/store") == 0 or diag('umount') }

sub answers {
    my ($pond, $what) = @_;
    my $got = $pond->client('one', blob => 'small:300000:1');
    ok($got->{bytes} == 300_000 && $got->{mismatch_at} == -1, "$what: it answers") or diag(explain($got));
}

subtest 'a disk smaller than the size' => sub {
    my $dir = mounted('100m');
    my $pond = Headpond->start(dir => $dir, origin => $origin, config => { memory => '64MiB' });
    like($pond->log_text, qr/ warn store-full path=\S+ size=1073741824: the file system has room for \d+ of \d+ MiB/, 'the log says so');
    my $capacity = $pond->metric('headpond_store_capacity_bytes');
    ok($capacity > 0 && $capacity < 100 * $MIB, "the capacity is what there is: $capacity");
    my $start = time;
    my $got = $pond->client('one', blob => 'large:' . 200 * $MIB . ':2');
    is($got->{bytes}, 200 * $MIB, 'a blob larger than the disk is read');
    is($got->{mismatch_at}, -1, 'right');
    cmp_ok(time - $start, '<', 20 * Headpond::Process::slowness(), 'in no more time than it takes');
    ok($pond->wait_metric(1, 'headpond_store_blocks'), 'some of it is kept');
    answers($pond, 'then');
    $start = time;
    $pond->stop;
    cmp_ok(time - $start, '<', 5 * Headpond::Process::slowness(), 'it ends at once');
    unmount($dir);
};

done_testing();
