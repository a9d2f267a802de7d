# SPDX-License-Identifier: Apache-2.0
# A crowd of made-up credentials, each of which the origin must be asked about, and the origin is slow: `memory` holds (I8),
# who has been let in before does not notice, who comes anew is served, and nothing stays behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::H2;
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;
my $LIMIT = 64 * $MIB;
my ($CONNECTIONS, $STREAMS) = (6, 250);
my $PATIENCE = 3;

my $origin = Headpond::Origin->start;
$origin->container('acct/data');
$origin->blob("/acct/data/$_", size => 1000, seed => 1) for qw(hit stale junk new);
my ($known, $newcomer) = map { $origin->bearer('/acct/data') } 1 .. 2;

sub start {
    my (%config) = @_;
    $origin->clear_faults;
    my $pond = Headpond->start(
        origin => $origin,
        account => { freshness => 'immutable', authorize_ttl => '600s' },
        config => { memory => '64MiB', first_byte_timeout => "${PATIENCE}s", %config });
    $pond->get("/acct/data/$_", headers => [$known]) for qw(hit stale junk);
    $origin->fault(path => '/acct/data/junk*', first_byte_ms => 20_000, times => -1);
    return $pond;
}

sub junk_fields {
    my ($path, $n) = @_;
    return Headpond::H2::get_fields($path, authorization => "Bearer $n" . 'p' x 12_000);
}

# A request on each stream, by a credential of its own; $path makes the path. Nobody reads the replies.
sub crowd {
    my ($pond, $path) = @_;
    my $n = 0;
    my @crowd = map { Headpond::H2->connect($pond->{http}) } 1 .. $CONNECTIONS;
    for my $connection (@crowd) {
        for (1 .. $STREAMS) {
            $n++;
            $connection->request(junk_fields($path->($n), $n));
        }
    }
    return @crowd;
}

my @gauges = qw(headpond_origin_inflight headpond_probes_waiting headpond_fills_waiting headpond_fills_inflight);

sub is_drained {
    my ($pond) = @_;
    ok(defined $pond->wait_metric(sub { $_[0] == 0 }, $_), "afterwards $_ is 0") for @gauges;
}

# What it holds at the most while somebody with a grant reads again and again, until the time is over.
sub read_among {
    my ($pond, $until, $path) = @_;
    my ($most, $good, $slowest, @bad) = (0, 0, 0);
    while (time < $until) {
        my $began = time;
        my $reply = $pond->get($path, headers => [$known]);
        my $took = time - $began;
        $slowest = $took if $took > $slowest;
        my $hit = ($reply->{headers}{'cache-status'} // '') =~ /hit/;
        $reply->{status} == 200 && $hit ? $good++ : push @bad, "$reply->{status}, $reply->{headers}{'cache-status'}";
        my $held = $pond->metric('headpond_memory_bytes');
        $most = $held if $held > $most;
    }
    is("@bad", '', sprintf '%d reads by a grant are hits, the slowest took %.3f s', $good, $slowest);
    cmp_ok($good, '>', 1, 'and several');
    return $most;
}

# Comes again when it is told to, as the clients of Azure do.
sub read_anew {
    my ($pond, $path, $token) = @_;
    my $began = time;
    my $end = $began + 4 * $PATIENCE * Headpond::Process::slowness();
    my ($reply, $tries) = (undef, 0);
    do {
        $reply = $pond->get($path, headers => [$token]);
        $tries++;
    } while ($reply->{status} == 503 && time < $end);
    is($reply->{status}, 200, sprintf 'a newcomer is served after %.1f s (%d tries)', time - $began, $tries);
}

subtest 'credentials made up for a blob that is known' => sub {
    my $pond = start();
    my @crowd = crowd($pond, sub { '/acct/data/junk' });
    $pond->wait_metric(1, 'headpond_probes_waiting');
    my $most = read_among($pond, time + 2, '/acct/data/hit');
    cmp_ok($most, '<', $LIMIT, sprintf '%.1f MiB held at the most, of 64', $most / $MIB);
    my $inflight = $pond->metric('headpond_origin_inflight');
    cmp_ok($inflight, '<', 60, "$inflight requests to the origin at once");
    ok($pond->wait_log(qr/ no-room requests=\d+ waited_ms=\d+: no room .* questions/), 'the log tells');
    my $before = $origin->path_stats('/acct/data/hit')->{requests};
    my @together = map { $pond->begin('/acct/data/hit', headers => [$newcomer]) } 1 .. 5;
    read_anew($pond, '/acct/data/hit', $newcomer);
    $_->finish for @together;
    is($origin->path_stats('/acct/data/hit')->{requests} - $before, 1, 'and those who came with him by the same question');
    cmp_ok($pond->metric('headpond_requests_total', code => 503), '>', 0, 'who found no room was told to come again');
    @crowd = ();
    is_drained($pond);
    $pond->stop;
};

subtest 'a grant goes first where the origin must be asked' => sub {
    my $pond = start();
    my @crowd = crowd($pond, sub { '/acct/data/junk' });
    $pond->wait_metric(1, 'headpond_probes_waiting');
    my $slowest = 0;
    for (1 .. 10) {
        my $began = time;
        # An If-None-Match that we do not know is asked about.
        my $reply = $pond->get('/acct/data/stale', headers => [$known, 'If-None-Match: "other"']);
        is($reply->{status}, 200, 'served');
        $slowest = time - $began if time - $began > $slowest;
    }
    cmp_ok($slowest, '<', $PATIENCE / 2 * Headpond::Process::slowness(), sprintf 'the slowest took %.3f s', $slowest);
    @crowd = ();
    is_drained($pond);
    $pond->stop;
};

subtest 'names made up' => sub {
    my $pond = start();
    my @crowd = crowd($pond, sub { "/acct/data/junk$_[0]" });
    $pond->wait_metric(1, 'headpond_probes_waiting');
    my $most = read_among($pond, time + 2, '/acct/data/hit');
    cmp_ok($most, '<', $LIMIT, sprintf '%.1f MiB held at the most, of 64', $most / $MIB);
    read_anew($pond, '/acct/data/new', $newcomer);
    @crowd = ();
    is_drained($pond);
    $pond->stop;
};

# More than there are places for fills, and fewer than there is room for one client's questions: who asks for a name that
# nobody has read is told no as soon as who asks for one that is in cache.
subtest 'how long a stranger waits does not tell what is in cache' => sub {
    $origin->reset_stats;
    my $pond = start(first_byte_timeout => '60s');
    my $count = 18;
    my @crowd = map { $pond->begin("/acct/data/junk$_") } 1 .. $count;
    ok(Headpond::Process::wait_until(sub { @{ $origin->log } >= 3 + 8 }, 20), 'a crowd asks for names');
    for my $path (qw(/acct/data/hit /acct/data/cold)) {
        my $began = time;
        is($pond->get($path)->{status}, 404, "$path: the origin's answer");
        cmp_ok(time - $began, '<', 2 * Headpond::Process::slowness(), 'soon');
    }
    is($pond->get('/acct/data/cold', headers => [$newcomer])->{status}, 404, 'also for who may read') for 1 .. 2;
    is($pond->get('/acct/data/new', headers => [$newcomer])->{status}, 200, 'and who may read what is there reads it');
    $pond->stop_now;
};

subtest 'who leaves gives up the room' => sub {
    my $pond = start(first_byte_timeout => '60s');
    my $count = 60;
    my $connection = Headpond::H2->connect($pond->{http});
    my @streams = map { $connection->request(junk_fields('/acct/data/junk', $_)) } 1 .. $count;
    my ($asked, $waiting);
    Headpond::Process::wait_until(sub {
        ($asked, $waiting) = map { $pond->metric($_) } qw(headpond_origin_inflight headpond_probes_waiting);
        return $asked + $waiting == $count;
    }, 20);
    cmp_ok($waiting, '>', 0, "$asked are asked about, $waiting wait");
    $connection->send(Headpond::H2::frame(RST_STREAM => 0, $_, pack 'N', 8)) for @streams[$asked .. $count - 1];
    ok(defined $pond->wait_metric(sub { $_[0] == 0 }, 'headpond_probes_waiting'), 'who cancels waits no longer');
    undef $connection;
    ok(defined $pond->wait_metric(sub { $_[0] == 0 }, 'headpond_client_connections'), 'the others leave, too');
    is($pond->metric('headpond_origin_inflight'), $asked, 'what they asked about goes on');
    my $began = time;
    is($pond->get("/acct/data/hit", headers => [$newcomer])->{status}, 200, 'until its room is wanted');
    cmp_ok(time - $began, '<', 5 * Headpond::Process::slowness(), 'soon');
    ok(defined $pond->wait_metric(sub { $_[0] < $asked }, 'headpond_origin_inflight'), 'then some of it ends');
    $pond->stop;
};

subtest 'an end in the middle' => sub {
    my $pond = start(drain_timeout => '1s');
    my @crowd = (crowd($pond, sub { '/acct/data/junk' }), crowd($pond, sub { "/acct/data/junk$_[0]" }));
    $pond->wait_metric(1, 'headpond_probes_waiting');
    my $began = time;
    $pond->stop;
    cmp_ok(time - $began, '<', 10 * Headpond::Process::slowness(), 'soon');
};
done_testing();
