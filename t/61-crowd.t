# SPDX-License-Identifier: Apache-2.0
# A crowd that comes at once, each for a cold blob of its own, and then hardly reads: `memory` holds (I8), an ordinary client
# is served among them (I4), and nothing stays behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;
my $CROWD = 200;
my $LIMIT = 64 * $MIB;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob("/acct/data/b$_", size => 64 * $MIB, seed => $_) for 0 .. $CROWD;

for my $stored (1, 0) {
    my $kind = $stored ? 'with a store' : 'without a store';
    my $folder = Headpond->folder;
    my $pond = Headpond->start(
        origin => $origin,
        config => { memory => '64MiB', store => $stored ? [{ path => "$folder/store", size => '1GiB' }] : undef });

    my @crowd = map {
        my $socket = IO::Socket::INET->new(PeerAddr => $pond->{http}, Timeout => 5) or die "connect: $!";
        setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack('i', 4096));
        syswrite $socket, "GET /acct/data/b$_ HTTP/1.1\r\nHost: x\r\n\r\n";
        $socket;
    } 1 .. $CROWD;

    # Every place is taken and others wait, or there would be nothing to see.
    $pond->wait_metric(31, 'headpond_fills_inflight');
    my $most = 0;
    my $until = time + 3;
    while (time < $until) {
        my $held = $pond->metric('headpond_memory_bytes');
        $most = $held if $held > $most;
    }
    cmp_ok($most, '<', $LIMIT * 1.1, sprintf '%s: %d MiB held at the most, of 64', $kind, $most / $MIB);

    my $began = time;
    my $got = $pond->client('one', blob => "b0:@{[64 * $MIB]}:0", range => '0-99999', timeout => 30);
    ok($got->{status} == 206 && $got->{bytes} == 100_000 && $got->{mismatch_at} == -1, "$kind: another client is served")
        or diag(explain($got));
    note(sprintf '%s: after %.1f s', $kind, time - $began);

    close $_ for @crowd;
    ok(defined $pond->wait_metric(sub { $_[0] == 0 }, 'headpond_fills_inflight'), "$kind: no fill is left when they have gone");
    $pond->stop;
}
done_testing();
