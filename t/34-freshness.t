# SPDX-License-Identifier: Apache-2.0
# How long a validated generation is served unasked: a time, none at all, or for ever; and that many readers ask once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $origin = Headpond::Origin->start;
$origin->container("acct/$_", public => 1) for qw(data still);

# Reads until the origin has been asked; true when that happened in time.
sub asks_again {
    my ($pond, $path) = @_;
    $origin->reset_stats;
    return Headpond::Process::wait_until(sub { $pond->get($path); $origin->path_stats($path)->{requests} > 0 }, 10);
}

subtest 'for a time' => sub {
    my $pond = Headpond->start(origin => $origin, account => { freshness => '2s', authorize_ttl => '3600s' });
    $origin->blob('/acct/data/timed', size => 5000, seed => 1);
    $pond->get('/acct/data/timed');
    $pond->settle;
    ok(asks_again($pond, '/acct/data/timed'), 'asks when the time is over');
    is($origin->data_requests, 0, 'the question is not for data');
    $origin->reset_stats;
    $pond->get('/acct/data/timed') for 1 .. 5;
    is($origin->path_stats('/acct/data/timed')->{requests}, 0, 'then serves unasked');
    $origin->touch('/acct/data/timed', seed => 2);
    my $new = $origin->bytes('/acct/data/timed');
    ok(Headpond::Process::wait_until(sub { $pond->get('/acct/data/timed')->{body} eq $new }, 10), 'a change is seen within it');
    my $reply = $pond->get('/acct/data/timed');
    cmp_ok($reply->{headers}{age}, '<=', 2 + 1, "Age is within it: $reply->{headers}{age}");
    $pond->stop;
};

subtest 'each time' => sub {
    my $pond = Headpond->start(origin => $origin, account => { freshness => '0s', authorize_ttl => '3600s' });
    $origin->blob('/acct/data/zero', size => 2_000_000, seed => 3);
    $pond->get('/acct/data/zero');
    $pond->settle;
    $origin->reset_stats;
    for my $i (1 .. 3) {
        my $reply = $pond->get('/acct/data/zero');
        is(length $reply->{body}, 2_000_000, "read $i");
        like($reply->{headers}{'cache-status'}, qr/headpond; (hit|fwd=stale)/, "read $i: Cache-Status");
    }
    my $stats = $origin->path_stats('/acct/data/zero');
    is($stats->{requests}, 3, 'three reads, three questions');
    cmp_ok($stats->{body_bytes}, '<=', 3, 'no data');

    $origin->touch('/acct/data/zero', seed => 4);
    my $whole = $pond->client('one', blob => 'zero:2000000:4');
    is($whole->{pure_seed}, 4, 'a change is seen at once') or diag(explain($whole));
    $pond->stop;
};

subtest 'many ask once' => sub {
    my $pond = Headpond->start(origin => $origin, account => { freshness => '1s', authorize_ttl => '3600s' });
    $origin->blob('/acct/data/crowd', size => 2_000_000, seed => 5);
    $pond->get('/acct/data/crowd');
    $pond->settle;
    ok($pond->get('/acct/data/crowd')->{headers}{age} <= 1, 'fresh');
    my $then = time + 3;
    Headpond::Process::wait_until(sub { time >= $then }, 10);
    $origin->fault(path => '/acct/data/crowd', first_byte_ms => 500, times => 1);
    $origin->reset_stats;
    my $got = $pond->client('readers', blob => 'crowd:2000000:5', readers => 48, threads => 2);
    is($got->{exit}, 0, '48 readers when the time is over') or diag(explain($got));
    is($origin->path_stats('/acct/data/crowd')->{requests}, 1, 'one question for all');
    is($origin->data_requests, 0, 'and not for data');
    $pond->stop;
};

subtest 'for ever' => sub {
    my $pond = Headpond->start(origin => $origin,
        account => { freshness => '0s', authorize_ttl => '3600s', containers => [{ name => 'still', freshness => 'immutable' }] });
    $origin->blob("/acct/$_/x", size => 5000, seed => 5) for qw(data still);
    $pond->get("/acct/$_/x") for qw(data still);
    $pond->settle;
    $origin->reset_stats;
    $pond->get("/acct/$_/x") for qw(data still data still);
    is($origin->path_stats('/acct/data/x')->{requests}, 2, 'the other container is asked for');
    is($origin->path_stats('/acct/still/x')->{requests}, 0, 'the immutable one is not');
    $pond->stop;
};

subtest 'pinned reads' => sub {
    my %pond = map { $_ => Headpond->start(origin => $origin,
        account => { freshness => '0s', authorize_ttl => '3600s', pinned_reads => $_ }) } qw(trust validate);
    my $etag = $origin->blob('/acct/data/pinned', size => 5000, seed => 6)->{etag};
    for my $rule (qw(trust validate)) {
        $pond{$rule}->get('/acct/data/pinned');
        $pond{$rule}->settle;
        $origin->reset_stats;
        is($pond{$rule}->get('/acct/data/pinned', headers => ["If-Match: $etag"])->{status}, 200, "$rule: read by ETag");
        is($origin->path_stats('/acct/data/pinned')->{requests}, $rule eq 'trust' ? 0 : 1, "$rule: questions");
    }
    $_->stop for values %pond;
};

subtest 'without an origin, what is fresh is served' => sub {
    my $mortal = Headpond::Origin->start;
    $mortal->container('acct/data', public => 1);
    $mortal->blob('/acct/data/kept', size => 3_000_000, seed => 7);
    my $pond = Headpond->start(origin => $mortal, account => { freshness => 'immutable', authorize_ttl => '3600s' });
    $pond->get('/acct/data/kept');
    $pond->settle;
    $mortal->stop;
    my $reply = $pond->get('/acct/data/kept');
    is($reply->{status}, 200, 'served');
    is(length $reply->{body}, 3_000_000, 'whole');
    my $other = $pond->get('/acct/data/never-read');
    like($other->{status}, qr/^50[234]$/, 'what is not there is an honest error');
    like($other->{body}, qr{<Error><Code>}, 'as XML');
    like($other->{headers}{'proxy-status'}, qr/^headpond; error=/, 'Proxy-Status');
    $pond->stop;
};

subtest 'without an origin, who may read is told that the blob is here' => sub {
    my $mortal = Headpond::Origin->start;
    $mortal->container('acct/closed');
    my $sas = $mortal->sas('/acct/closed', sp => 'r');
    my $stranger = $mortal->sas('/acct/closed', sp => 'r');
    $mortal->blob('/acct/closed/kept', size => 100_000, seed => 8);
    my $pond = Headpond->start(origin => $mortal, account => { freshness => '0s', authorize_ttl => '3600s' });
    $pond->get('/acct/closed/kept', sas => $sas);
    $pond->settle;
    $mortal->stop;
    for (['a reader with a grant', $sas, qr/^headpond; fwd=stale$/], ['another', $stranger, qr/^headpond; fwd=miss$/]) {
        my ($who, $token, $want) = @$_;
        my $reply = $pond->get('/acct/closed/kept', sas => $token);
        is($reply->{status}, 503, "$who: an honest error");
        like($reply->{headers}{'cache-status'}, $want, "$who: Cache-Status");
    }
    $pond->stop;
};

done_testing();
