# SPDX-License-Identifier: Apache-2.0
# A crowd that comes at once, each for bytes of its own, and then hardly reads: `memory` holds (I8), an ordinary client is
# served among them (I4), and nothing stays behind. The bytes come from the origin, and are kept or are not; or they come
# from a disk, whose page cache has forgotten them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use IO::Socket::INET;
use Socket qw(SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my $MIB = 1 << 20;
my $CROWD = 200;
my $LIMIT = 64 * $MIB;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
my $sas = $origin->sas('/acct/data', sp => 'rcw');
for my $n (0 .. $CROWD) {
    $origin->blob("/acct/data/large$n", size => 64 * $MIB, seed => $n);
    $origin->blob("/acct/data/small$n", size => 4 * $MIB, seed => $n);
}

sub start {
    my (%options) = @_;
    my $folder = Headpond->folder;
    my $pond = Headpond->start(
        origin => $origin, account => { cache_writes => 'on' },
        config => { memory => '64MiB', store => $options{stored} ? [{ path => "$folder/store", size => '1GiB' }] : undef });
    return ($pond, $folder);
}

# Who asks for that and takes next to nothing of it.
sub asker {
    my ($pond, $path, @headers) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $pond->{http}, Timeout => 5) or die "connect: $!";
    setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack('i', 4096));
    syswrite $socket, join("\r\n", "GET $path HTTP/1.1", 'Host: x', @headers, '', '');
    return $socket;
}

sub holds {
    my ($what, $pond, $crowd, $reads) = @_;
    my $most = 0;
    my $until = time + 3;
    while (time < $until) {
        my $held = $pond->metric('headpond_memory_bytes');
        $most = $held if $held > $most;
        sleep 0.01;
    }
    cmp_ok($most, '<', $LIMIT, sprintf '%s: %d MiB held at the most, of 64', $what, $most / $MIB);
    my $began = time;
    my $got = $pond->client('one', blob => $reads, range => '0-99999', timeout => 30);
    ok($got->{status} == 206 && $got->{bytes} == 100_000 && $got->{mismatch_at} == -1, "$what: another client is served")
        or diag(explain($got));
    note(sprintf '%s: after %.1f s', $what, time - $began);
    close $_ for @$crowd;
}

for my $stored (1, 0) {
    for my $size ([large => 64], [small => 4]) {
        my ($name, $mib) = @$size;
        my ($pond) = start(stored => $stored);
        my @crowd = map { asker($pond, "/acct/data/$name$_") } 1 .. $CROWD;
        my $what = "$name blobs " . ($stored ? 'with a store' : 'without a store');
        ok(defined $pond->wait_metric(1, 'headpond_fills_waiting'), "$what: others wait for room");
        # There may be no room to keep it.
        my $written = join '', map { pack 'N', $_ } 1 .. 2 * $MIB;
        my $put = $pond->put('/acct/data/written', body => $written, headers => ['x-ms-blob-type: BlockBlob'], sas => $sas);
        is($put->{status}, 201, "$what: a write among them");
        holds($what, $pond, \@crowd, "${name}0:@{[$mib * $MIB]}:0");
        ok($pond->get('/acct/data/written')->{body} eq $written, "$what: what was written is what is read");
        ok(defined $pond->wait_metric(sub { $_[0] == 0 }, 'headpond_fills_inflight'), "$what: no fill is left when they have gone");
        $pond->stop;
    }
}

{
    my ($pond, $folder) = start(stored => 1);
    my $blob = "large0:@{[64 * $MIB]}:0";
    $pond->read_until_kept($origin, sub { $pond->client('one', blob => $blob) });
    $pond->stop;
    system('dd', "if=$_", 'iflag=nocache', 'count=0', 'status=none') == 0 or die 'dd' for glob "$folder/store/data-*";
    $pond->run;
    $origin->reset_stats;
    my @crowd = map {
        my $first = $_ % 60 * $MIB;
        asker($pond, '/acct/data/large0', sprintf('Range: bytes=%d-%d', $first, $first + 4 * $MIB - 1));
    } 1 .. $CROWD;
    holds('from the disk', $pond, \@crowd, $blob);
    is($origin->data_requests, 0, 'from the disk: all of it');
    $pond->stop;
}
# Who has gone before the origin has said anything costs it no block.
{
    my $gone = 30;
    my ($pond) = start(stored => 1);
    $pond->get("/acct/data/large$_", headers => ['Range: bytes=0-9']) for 1 .. $gone;
    $pond->settle;
    $origin->reset_stats;
    $origin->latency(first_byte_ms => 500);
    my @crowd = map { asker($pond, "/acct/data/large$_", 'Range: bytes=33554432-33554441') } 1 .. $gone;
    ok(defined $pond->wait_metric(10, 'headpond_fills_inflight'), 'readers who go: fills are begun for them');
    setsockopt($_, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)), close $_ for @crowd;
    ok(defined $pond->wait_metric(sub { $_[0] == 0 }, 'headpond_fills_inflight'), 'readers who go: those end');
    my $sent = 0;
    $sent += $origin->path_stats("/acct/data/large$_")->{body_bytes} // 0 for 1 .. $gone;
    cmp_ok($sent, '<', 4 * $MIB, sprintf 'readers who go: %d KiB are sent for them', $sent / 1024);
    $pond->stop;
}
done_testing();
