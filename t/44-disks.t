# SPDX-License-Identifier: Apache-2.0
# One of two disks hangs, fails, is full or read-only while headpond runs: replies stay right, none waits longer than for one
# load, writes go on, and the disk is taken back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;
my $BLOBS = 40;
my $slow = Headpond::Process::slowness();

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob("/acct/data/$_", size => $MIB, seed => $_) for 1 .. $BLOBS;
my %right = map { $_ => $origin->bytes("/acct/data/$_") } 1 .. $BLOBS;

# With two disks, the first of which is as `mode` says.
sub start_pond {
    my $dir = Headpond::folder();
    my @disks = map { "$dir/disk$_" } 0, 1;
    mkdir $_ for @disks;
    my $pond = Headpond->new(
        origin => $origin, dir => $dir, account => { authorize_ttl => '3600s' },
        config => { store => [map { { path => $_, size => '256MiB', scrub_rate => 0 } } @disks] },
        env => {
            LD_PRELOAD => "$ENV{HEADPOND_BUILD}/t/lib/bad_disk.so", BAD_DISK => $disks[0], BAD_DISK_MODE => "$dir/mode",
            ASAN_OPTIONS => 'verify_asan_link_order=0:' . ($ENV{ASAN_OPTIONS} // ''),
        });
    disk_is($pond, 'well');
    $pond->run;
    return $pond;
}

sub disk_is {
    my ($pond, $mode) = @_;
    Headpond::Process::spew("$pond->{dir}/mode", "$mode\n");
}

# Reads all blobs one after another: how many were wrong, the longest time a reply took, and data requests at the origin.
sub read_all {
    my ($pond) = @_;
    my ($wrong, $longest) = (0, 0);
    $origin->reset_stats;
    for my $blob (1 .. $BLOBS) {
        my $start = time;
        my $reply = $pond->get("/acct/data/$blob");
        my $took = time - $start;
        $longest = $took if $took > $longest;
        $wrong++ if $reply->{status} != 200 || $reply->{body} ne $right{$blob};
    }
    return ($wrong, $longest, $origin->data_requests);
}

sub right_and_soon {
    my ($pond, $what) = @_;
    my ($wrong, $longest, $asked) = read_all($pond);
    is($wrong, 0, "$what: every byte is right");
    # A load may take a second.
    cmp_ok($longest, '<', 1.7 * $slow, sprintf '%s: the longest reply took %.2f s', $what, $longest);
    return $asked;
}

for my $mode (qw(hang eio enospc erofs)) {
    subtest "a disk: $mode" => sub {
        my $pond = start_pond();
        is((read_all($pond))[0], 0, 'cold: every byte is right');
        $pond->settle;
        my $blocks = $pond->metric('headpond_store_blocks');
        # After a start nothing is believed to be in memory: every block is read from its disk once.
        $pond->stop;
        $pond->run;
        $pond->wait_metric($blocks, 'headpond_store_blocks');
        disk_is($pond, $mode);
        my $asked = right_and_soon($pond, 'at first');
        my $bad = $mode eq 'hang' || $mode eq 'eio';
        cmp_ok($asked, $bad ? '>' : '<', 4, 'what that disk holds is ' . ($bad ? 'fetched' : 'not fetched')) or diag($asked);
        cmp_ok($asked, '<', $BLOBS - 4, 'what the other one holds is not') or diag($asked);
        right_and_soon($pond, 'then');
        my $start = time;
        my $put = $pond->put('/acct/data/new', body => 'x' x 1000, headers => ['x-ms-blob-type: BlockBlob'],
            sas => $origin->sas('/acct/data', sp => 'rcw'));
        is($put->{status}, 201, 'a write is answered');
        cmp_ok(time - $start, '<', 12 * $slow, sprintf 'after %.2f s', time - $start);
        is($pond->get('/acct/data/new')->{body}, 'x' x 1000, 'and read');
        disk_is($pond, 'well');
        ok($pond->wait_metric(2, 'headpond_store_disks', state => 'used'), 'the disk is well again, and used');
        ok(Headpond::Process::wait_until(sub { $asked = right_and_soon($pond, 'afterwards'); $pond->settle; !$asked }, 60),
            'all is stored again') or diag($asked);
        $pond->stop;
    };
}

done_testing();
