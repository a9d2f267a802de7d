# SPDX-License-Identifier: Apache-2.0
# What an account is asked for is bounded: requests a second and at once, bytes a second. Who has to wait takes turns with
# other clients, an account that answers 503 is asked for less until it bears more, and another account does not notice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::H2;
use Test::More;
use Time::HiRes qw(time sleep);

my $MIB = 1 << 20;
my $slowness = Headpond::Process::slowness();

my $origin = Headpond::Origin->start;
$origin->container("$_/data", public => 1) for qw(acct other);

# With those settings of the account, and of all if a hash comes first.
sub start {
    my %config = ref $_[0] ? %{ shift() } : ();
    my (%account) = @_;
    $origin->clear_faults;
    $origin->reset_stats;
    my @accounts = map { { name => $_, origin => "http://$origin->{address}/$_", $_ eq 'acct' ? %account : () } } qw(acct other);
    return Headpond->start(origin => $origin, config => { accounts => \@accounts, memory => '64MiB', drain_timeout => '1s', %config });
}

my $names = 0;

# Blobs that nobody has read yet.
sub fresh {
    my ($account, $count, $size) = @_;
    my @paths = map { "/$account/data/x" . ++$names } 1 .. $count;
    $origin->blob($_, size => $size, seed => 1) for @paths;
    return @paths;
}

# Asks for all of them at once, over one connection from that address.
sub ask_all {
    my ($pond, $from, @paths) = @_;
    my $crowd = Headpond::H2->connect($pond->{http}, from => $from);
    $crowd->request(Headpond::H2::get_fields($_)) for @paths;
    return $crowd;
}

# The statuses of so many answers, as they come.
sub answers {
    my ($crowd, $count) = @_;
    my @statuses;
    while (@statuses < $count) {
        my $frame = $crowd->wait_frame(sub { $_[0]{type} eq 'HEADERS' }, 20);
        last if $frame->{type} ne 'HEADERS';
        push @statuses, Headpond::H2::status_of($frame->{payload});
    }
    return @statuses;
}

subtest 'requests a second, and turns' => sub {
    my $pond = start(max_requests => 40);
    my @paths = fresh('acct', 205, 300);
    my $began = time;
    my $crowd = ask_all($pond, '127.0.0.2', @paths[0 .. 199]);
    # Not all of it: some are let in before a busy machine has taken them all.
    ok($pond->wait_metric(60, 'headpond_origin_waiting', account => 'acct'), 'a crowd waits');
    is($pond->get($_)->{status}, 200, 'another client is served') for @paths[200 .. 204];
    cmp_ok($pond->metric('headpond_origin_waiting'), '>', 0, 'in its turn, not behind the crowd');
    is(scalar(grep { $_ eq '200' } answers($crowd, 200)), 200, 'and the crowd, in time');
    my $took = time - $began;
    cmp_ok($took, '>', 4.5, 'not faster than 40 requests a second');
    cmp_ok($took, '<', 15 * $slowness, 'nor much slower');
    ok($pond->wait_metric(sub { $_[0] == 0 }, 'headpond_origin_waiting'), 'then nobody waits');
    is($origin->stats->{requests}, 205, 'each was asked for once');
    $pond->stop;
};

subtest 'who has been let in goes first' => sub {
    my $pond = start(max_requests => 20, freshness => '0s');
    my ($known, @paths) = fresh('acct', 101, 300);
    is($pond->get($known)->{status}, 200, 'a blob is known');
    my $crowd = ask_all($pond, '127.0.0.1', @paths);
    ok($pond->wait_metric(30, 'headpond_origin_waiting', account => 'acct'), 'a crowd asks for others, from the same address');
    is($pond->get($known)->{status}, 200, 'the known one is validated');
    cmp_ok($pond->metric('headpond_origin_waiting'), '>', 0, 'before them');
    is(scalar(grep { $_ eq '200' } answers($crowd, 100)), 100, 'who are served, too');
    $pond->stop;
};

subtest 'requests at once' => sub {
    my $pond = start(max_requests => 10);
    my @paths = fresh('acct', 30, 300);
    $origin->fault(path => '/acct/*', first_byte_ms => 1500, times => -1);
    my $crowd = ask_all($pond, '127.0.0.2', @paths);
    is(scalar(grep { $_ eq '200' } answers($crowd, 30)), 30, 'all are answered');
    is($origin->stats->{max_inflight}, 10, 'no more than ten at once');
    $pond->stop;
};

subtest 'slow writers' => sub {
    my $pond = start(max_requests => 4);
    my ($path) = fresh('acct', 1, 300);
    my $sas = $origin->sas('/acct/data', sp => 'rcw');
    my @writers = map { $pond->begin("/acct/data/w$_", method => 'PUT', sas => $sas, body => 'x' x 1_000_000, rate => 200_000,
        headers => ['x-ms-blob-type: BlockBlob']) } 1 .. 8;
    ok($pond->wait_metric(8, 'headpond_origin_inflight'), 'more of them than may ask at once');
    is($pond->get($path)->{status}, 200, 'a reader is served');
    cmp_ok($pond->metric('headpond_origin_inflight'), '>=', 8, 'while they write');
    is($_->finish->{status}, 201, 'and they are done') for @writers;
    $pond->stop;
};

subtest 'bytes a second' => sub {
    my $pond = start(max_rate => '4MiB');
    my ($slow) = fresh('acct', 1, 12 * $MIB);
    my ($free) = fresh('other', 1, 12 * $MIB);
    my $reader = $pond->start_client('one', blob => ($slow =~ s{.*/}{}r) . ':' . 12 * $MIB . ':1');
    my $other = $pond->client('one', container => 'other/data', blob => ($free =~ s{.*/}{}r) . ':' . 12 * $MIB . ':1');
    ok($other->{exit} == 0 && $other->{mismatch_at} == -1 && $other->{time_ms} < 2500 * $slowness, 'another account is not limited')
        or diag(explain($other));
    my $got = $reader->finish;
    ok($got->{exit} == 0 && $got->{mismatch_at} == -1, 'every byte is right') or diag(explain($got));
    cmp_ok($got->{time_ms}, '>', 2000, '12 MiB at 4 MiB a second take their time');
    cmp_ok($got->{time_ms}, '<', 9000 * $slowness, 'and not much more');
    my $stats = $origin->path_stats($slow);
    is($stats->{body_bytes}, $stats->{distinct_bytes}, 'fetched once');
    is($pond->metric('headpond_origin_retries_total'), 0, 'and nothing was taken for a stalled origin');
    $pond->stop;
};

subtest 'an account that is busy' => sub {
    my $pond = start();
    my @paths = fresh('acct', 400, 300);
    my @others = fresh('other', 40, 300);
    $origin->fault(path => '/acct/*', status => 503, over => 60, times => -1);
    my @crowd = map { ask_all($pond, "127.0.0.$_", @paths[($_ - 2) * 100 .. ($_ - 2) * 100 + 99]) } 2 .. 5;
    ok($pond->wait_metric(1, 'headpond_origin_busy_total', account => 'acct'), 'it says so');
    ok($pond->wait_metric(sub { $_[0] < 500 }, 'headpond_origin_allowed_requests', account => 'acct'), 'and is asked for less');
    ok($pond->wait_log(qr{ warn origin-busy account=acct requests_per_second=\d+ }), 'the log says it');
    my @times = map { my $start = time; is($pond->get($_)->{status}, 200, 'another account serves'); time - $start } @others;
    cmp_ok((sort { $a <=> $b } @times)[20], '<', 0.1 * $slowness, 'as ever');
    is($pond->metric('headpond_origin_allowed_requests', account => 'other'), 2000, 'and is asked as ever');
    my @statuses = map { answers($_, 100) } @crowd;
    is(scalar @statuses, 400, 'all are answered');
    cmp_ok(scalar(grep { $_ eq '200' } @statuses), '>=', 360, 'hardly any by an error');
    my $busy = $pond->metric('headpond_origin_busy_total', account => 'acct');
    note("$busy times in vain");
    cmp_ok($busy, '<', 800, 'it is not asked in vain for long') or diag($busy);
    my $low = $pond->metric('headpond_origin_allowed_requests', account => 'acct');
    $origin->clear_faults;
    sleep 2;
    is($pond->get((fresh('acct', 1, 300))[0])->{status}, 200, 'it serves again');
    cmp_ok($pond->metric('headpond_origin_allowed_requests', account => 'acct'), '>', $low, 'and is trusted with more');
    $pond->stop;
};

subtest 'a blob that is busy' => sub {
    my $pond = start();
    my ($bad, @paths) = fresh('acct', 301, 300);
    $origin->fault(path => $bad, status => 503, retry_after => 1, times => -1);
    my ($good, @refused) = (0);
    for my $part (0 .. 2) {
        my $crowd = ask_all($pond, '127.0.0.2', @paths[$part * 100 .. $part * 100 + 99]);
        $good += grep { $_ eq '200' } answers($crowd, 100);
        push @refused, $pond->begin($bad);
        sleep 0.5;
        is($pond->metric('headpond_origin_allowed_requests', account => 'acct'), 2000, 'the account is asked as ever');
    }
    isnt($_->finish->{status}, 200, 'the one is not') for @refused;
    is($good, 300, 'the others are served');
    cmp_ok($pond->metric('headpond_origin_busy_total', account => 'acct'), '>', 1, 'one says that it is busy');
    $pond->stop;
};

subtest 'Retry-After' => sub {
    my $pond = start();
    my ($second, @first) = fresh('acct', 6, 300);
    my ($other) = fresh('other', 1, 300);
    $origin->fault(path => $_, status => 503, retry_after => 2) for @first;
    my @asked = map { $pond->begin($_) } @first;
    ok($pond->wait_log(qr{ warn origin-busy account=acct .* retry_after_ms=2000: }), 'the account wants a rest');
    # From when it said so, which may be some time ago on a busy machine.
    my ($h, $m, $sec) = $pond->log_text =~ /T(\d\d):(\d\d):(\d\d\.\d+)Z warn origin-busy account=acct/;
    my $said = int(time / 86400) * 86400 + $h * 3600 + $m * 60 + $sec;
    $said -= 86400 if $said > time + 1;
    is($pond->get($other)->{status}, 200, 'another serves');
    cmp_ok(time - $said, '<', 1.9, 'meanwhile');
    is($pond->get($second)->{status}, 200, 'this one');
    cmp_ok(time - $said, '>', 1.9, 'when its time has come');
    is($_->finish->{status}, 200, 'whoever met it, too') for @asked;
    $pond->stop;
};

subtest 'who waits for too long' => sub {
    my $patience = 3 * $slowness;
    my $pond = start({ first_byte_timeout => "${patience}s" }, max_requests => 1);
    my @paths = fresh('acct', 3, 300);
    my ($other) = fresh('other', 1, 300);
    $origin->fault(path => $_, first_byte_ms => 2000 * $slowness) for @paths;
    my $began = time;
    my @asked = map { $pond->begin($_) } @paths;
    ok($pond->wait_metric(1, 'headpond_origin_waiting'), 'an account is asked for as much as it may be');
    is($pond->get($other)->{status}, 200, 'another serves');
    ok($pond->wait_log(qr{ warn over-budget account=acct requests=1 waited_ms=\d+: }), 'the log says who waits for too long');
    cmp_ok(time - $began, '>', $patience - 0.1, 'after a while');
    is(join(' ', sort map { $_->finish->{status} } @asked), '200 200 503', 'who finds no turn is told');
    $origin->clear_faults;
    is($pond->get($_)->{status}, 200, 'next time he has one') for @paths;
    $pond->stop;
};

# Its bodies come so slowly that its reads take all room they may have, and more of them wait.
sub slow_account {
    my ($pond, $count) = @_;
    my @slow = fresh('acct', $count, 4 * $MIB);
    $origin->fault(path => '/acct/*', rate => 20_000, times => -1);
    my @readers = map { $pond->begin($_) } @slow;
    ok($pond->wait_metric(5, 'headpond_fills_waiting'), 'reads of an account whose bodies are slow wait for room');
    return @readers;
}

subtest 'an account whose bodies are slow takes no other\'s room' => sub {
    my $pond = start();
    my @readers = slow_account($pond, 60);
    for my $turn (1 .. 3) {
        my ($free) = fresh('other', 1, 12 * $MIB);
        my $got = $pond->client('one', container => 'other/data', blob => ($free =~ s{.*/}{}r) . ':' . 12 * $MIB . ':1', timeout => 30);
        ok($got->{exit} == 0 && $got->{mismatch_at} == -1 && $got->{time_ms} < 2500 * $slowness, "another account is read as ever, $turn")
            or diag(explain($got));
    }
    cmp_ok($pond->metric('headpond_fills_waiting'), '>', 0, 'while they still wait');
    @readers = ();
    $pond->stop;
};

subtest 'who waits for room keeps nobody from asking' => sub {
    my $pond = start({ first_byte_timeout => '60s' }, max_requests => 20, freshness => '0s');
    my ($known) = fresh('acct', 1, 300);
    is($pond->get($known)->{status}, 200, 'a blob is known');
    my @readers = slow_account($pond, 60);
    ok($pond->wait_metric(sub { $_[0] == 0 }, 'headpond_origin_waiting'), 'all have had their turn to ask');
    for (1 .. 3) {
        my $began = time;
        is($pond->get($known)->{status}, 200, 'the known one is validated');
        cmp_ok(time - $began, '<', 2 * $slowness, 'at once');
    }
    cmp_ok($pond->metric('headpond_fills_waiting'), '>', 20, 'while more of them wait than may ask at once');
    @readers = ();
    $pond->stop;
};

subtest 'the end' => sub {
    my $pond = start(max_requests => 1);
    my @paths = fresh('acct', 40, 300);
    $origin->fault(path => '/acct/*', first_byte_ms => 10_000, times => -1);
    my $crowd = ask_all($pond, '127.0.0.2', @paths);
    ok($pond->wait_metric(30, 'headpond_origin_waiting'), 'a crowd waits');
    my $began = time;
    $pond->stop;
    cmp_ok(time - $began, '<', 5 * $slowness, 'and keeps nobody from stopping');
};

$origin->stop;
done_testing();
