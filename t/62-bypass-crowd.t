# SPDX-License-Identifier: Apache-2.0
# A crowd of uploads and downloads that pass through at once and hardly move: `memory` holds (I8), who finds no room waits
# and may leave, and in the end everybody is served.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use IO::Socket::INET;
use IO::Poll qw(POLLIN POLLOUT);
use Test::More;
use Time::HiRes qw(time);

$SIG{PIPE} = 'IGNORE';
my $MIB = 1 << 20;
my $CROWD = 300;
my $LIMIT = 64 * $MIB;
my $SIZE = 4 * $MIB;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob('/acct/data/down', size => 2 * $SIZE, seed => 1);
my $sas = $origin->sas('/acct/data', sp => 'rcwdl');
my $pond = Headpond->start(origin => $origin, config => { memory => '64MiB' });

sub resident {
    return Headpond::Process::slurp("/proc/$pond->{process}{pid}/status") =~ /^VmRSS:\s+(\d+) kB/m ? $1 * 1024 : die 'no VmRSS';
}

# One connection of the crowd: it has sent its head and as much of its body as it sends before it stops.
sub join_crowd {
    my ($method, $path, $headers, $before, $after) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $pond->{http}, Timeout => 10) or die "connect: $!";
    setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack('i', 65536));
    $socket->blocking(0);
    return { socket => $socket, send => "$method $path HTTP/1.1\r\nHost: x\r\n$headers\r\n" . 'x' x $before, later => $after, bytes => 0, head => '' };
}

sub one_upload {
    my ($n) = @_;
    return { again => sub { one_upload($n) }, %{ join_crowd('PUT', "/acct/data/up$n?$sas", "x-ms-blob-type: BlockBlob\r\nContent-Length: $SIZE\r\n", 65536, $SIZE - 65536) } };
}

sub one_download {
    return { again => \&one_download, %{ join_crowd('GET', '/acct/data/down', "x-ms-lease-id: 1\r\n", 0, 0) } };
}

# Moves what can be moved until the code says stop: sends, and, if they are to read, reads; a reply that is whole ends its
# connection.
sub move {
    my ($crowd, $read, $stop) = @_;
    my $poll = IO::Poll->new;
    my %of;
    my $mask = sub { my ($c) = @_; ($read ? POLLIN : 0) | (length $c->{send} || $read && $c->{later} ? POLLOUT : 0) };
    for (grep { !$_->{done} } @$crowd) {
        $of{ fileno $_->{socket} } = $_;
        $poll->mask($_->{socket} => $mask->($_)) if $mask->($_);
    }
    while (!$stop->()) {
        $poll->poll(0.05);
        for my $socket ($poll->handles(POLLIN | POLLOUT | IO::Poll::POLLHUP() | IO::Poll::POLLERR())) {
            my $c = $of{ fileno $socket };
            my $what = $poll->events($socket);
            if ($what & POLLOUT) {
                if (!length $c->{send} && $c->{later}) {
                    my $n = $c->{later} < 262144 ? $c->{later} : 262144;
                    $c->{send} = 'x' x $n;
                    $c->{later} -= $n;
                }
                my $n = syswrite $socket, $c->{send};
                substr $c->{send}, 0, $n, '' if $n;
            }
            if ($read && $what & ~POLLOUT) {
                my $n = sysread $socket, my $piece, 262144;
                $c->{head} .= $piece if $n && $c->{head} !~ /\r\n\r\n/;
                $c->{bytes} += $n // 0;
                my ($length) = $c->{head} =~ /^Content-Length: (\d+)/mi;
                my $whole = $c->{head} =~ /^(.*?\r\n\r\n)/s && defined $length && $c->{bytes} >= length($1) + $length;
                if ($whole || !$n && !$!{EAGAIN}) {
                    $c->{whole} = $whole;
                    ($c->{status}) = $c->{head} =~ m{^HTTP/1\.1 (\d+)};
                    $c->{done} = 1;
                    $poll->remove($socket);
                    close $socket;
                    next;
                }
            }
            $mask->($c) ? $poll->mask($socket => $mask->($c)) : $poll->remove($socket);
        }
    }
}

$pond->get('/acct/data/down', headers => ['x-ms-lease-id: 1']); # what a first request makes
my $rest = resident();
my @crowd = map { (one_upload($_), one_download()) } 1 .. $CROWD;
my ($most, $most_resident) = (0, 0);
my $look = sub {
    my ($held, $resident) = ($pond->metric('headpond_memory_bytes'), resident());
    $most = $held if $held > $most;
    $most_resident = $resident if $resident > $most_resident;
};
my $until = time + 3;
move(\@crowd, 0, sub { $look->(); time > $until });
my $waiting = $pond->metric('headpond_forwards_waiting');
cmp_ok($waiting, '>', 0, "$waiting wait");
cmp_ok($most, '<', $LIMIT, sprintf '%.1f MiB held at the most, of 64', $most / $MIB);
# A sanitizer's shadow is not ours to bound.
cmp_ok($most_resident, '<', $LIMIT + $rest, sprintf '%.1f MiB resident, %.1f of them at rest', $most_resident / $MIB, $rest / $MIB)
    if Headpond::Process::slowness() == 1;

my $brief = $pond->put('/acct/data/brief', sas => $sas, body => 'x' x 1000, headers => ['x-ms-blob-type: BlockBlob']);
is($brief->{status}, 201, 'who is soon done is let through');

for (splice @crowd, -40) {
    setsockopt($_->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if !$_->{later}; # an end alone may be half a close
    close $_->{socket};
}
ok(defined $pond->wait_metric(sub { $_[0] <= 2 * $CROWD - 40 }, 'headpond_client_connections'), 'who leaves is noticed');
ok(defined $pond->wait_metric(sub { $_[0] <= $waiting - 30 }, 'headpond_forwards_waiting'), 'and waits no longer');

# On a machine that is slow enough some are told to come again, and do.
$until = time + 60 * Headpond::Process::slowness();
for my $round (1 .. 20) {
    move(\@crowd, 1, sub { time > $until || !grep { !$_->{done} } @crowd });
    last unless grep { ($_->{status} // 0) == 503 } @crowd;
    @crowd = map { ($_->{status} // 0) == 503 ? $_->{again}->() : $_ } @crowd;
}
$look->();
my %count;
$count{ ($_->{status} // 'none') . ($_->{whole} ? '' : ', cut') }++ for @crowd;
is_deeply(\%count, { 201 => $CROWD - 20, 200 => $CROWD - 20 }, 'when the others move, all are served') or diag(explain(\%count));
cmp_ok($most, '<', $LIMIT, sprintf '%.1f MiB held by then', $most / $MIB);
is($pond->metric('headpond_forwards_waiting'), 0, 'nobody waits any more');
is($origin->describe("/acct/data/up$_")->{size}, $SIZE, "upload $_ is whole") for 1, 100, 200;
$pond->stop;

subtest 'who would wait for too long is told to come again' => sub {
    $pond = Headpond->start(origin => $origin, config => { memory => '64MiB', first_byte_timeout => 2 * Headpond::Process::slowness() . 's' });
    my @stuck = map { one_download() } 1 .. $CROWD;
    move(\@stuck, 0, sub { $pond->metric('headpond_forwards_waiting') > 0 });
    my $reply = $pond->get('/acct/data/down', headers => ['x-ms-lease-id: 1']);
    is($reply->{status}, 503, 'refused') or diag(explain($reply));
    is($reply->{headers}{'retry-after'}, 5, 'Retry-After');
    is($reply->{headers}{'x-ms-error-code'}, 'ServerBusy', 'as Azure says it');
    ok($pond->wait_log(qr/ no-room requests=\d+ waited_ms=\d+: /), 'the log tells');
    close $_->{socket} for @stuck;
    ok(defined $pond->wait_metric(sub { $_[0] == 0 }, 'headpond_origin_inflight'), 'when the crowd has gone, nothing is left');
    is($pond->get('/acct/data/down', headers => ['x-ms-lease-id: 1'])->{status}, 200, 'and the next is served');
    $pond->stop;
};
done_testing();
