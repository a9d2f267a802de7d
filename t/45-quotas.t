# SPDX-License-Identifier: Apache-2.0
# Quotas through the whole program: one container may hold so much, another is left so much, a third floods the store. What
# they hold is told by metrics, what that is worth by hits.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $MIB = 1 << 20;
my %size = (kept => 20, limited => 30, flood => 60);

my $origin = Headpond::Origin->start;
my $seed = 0;
for my $container (sort keys %size) {
    $origin->container("acct/$container", public => 1);
    $origin->blob("/acct/$container/$_", size => 10 * $MIB, seed => ++$seed) for 1 .. $size{$container} / 10;
}
$origin->blob('/acct/flood/huge', size => 250 * $MIB, seed => ++$seed);

my %account = (
    freshness => 'immutable', authorize_ttl => '3600s', limit => '90MiB',
    containers => [
        { name => 'kept', freshness => 'immutable', reserve => '20MiB' },
        { name => 'limited', freshness => 'immutable', limit => '8MiB' },
    ],
);
my $dir = Headpond::folder();
my $pond = Headpond->start(
    origin => $origin, account => \%account, dir => $dir,
    config => { block_size => '256KiB', store => [{ path => "$dir/store", size => '160MiB', scrub_rate => 0 }] });

sub held { return $pond->metric('headpond_store_quota_bytes', account => 'acct', container => $_[0]) }

# Reads every blob of a container; how many were hits.
sub read_all {
    my ($container) = @_;
    my $hits = 0;
    for my $number (1 .. $size{$container} / 10) {
        my $reply = $pond->get("/acct/$container/$number");
        $hits += $reply->{status} == 200 && length $reply->{body} == 10 * $MIB
            && $reply->{headers}{'cache-status'} eq 'headpond; hit';
    }
    $pond->settle;
    return $hits;
}

sub flood {
    $pond->get('/acct/flood/huge');
    read_all('flood');
}

subtest 'bounds are told' => sub {
    is($pond->metric('headpond_store_quota_limit_bytes', container => 'limited'), 8 * $MIB, 'a limit');
    is($pond->metric('headpond_store_quota_reserve_bytes', container => 'kept'), 20 * $MIB, 'a reserve');
    is($pond->metric('headpond_store_quota_limit_bytes', account => 'acct', container => ''), 90 * $MIB, 'an account\'s');
};

sub says {
    my ($pond, $blob, %o) = @_;
    return $pond->get("/acct/$blob", %o)->{headers}{'cache-status'};
}

subtest 'what is said to be stored' => sub {
    for my $container (qw(none few)) {
        $origin->container("acct/$container", public => 1);
        $origin->blob("/acct/$container/$_", size => 1000 * $_, seed => $_) for 1, 1000, 3000;
    }
    my $said = Headpond->start(origin => $origin, account => { containers => [{ name => 'none', limit => 0 }, { name => 'few', limit => '2MiB' }] });
    is(says($said, 'none/1'), 'headpond; fwd=miss', 'with limit: 0 nothing is, small');
    is(says($said, 'none/1000'), 'headpond; fwd=miss', 'or not');
    ok($said->wait_metric(2, 'headpond_store_rejected_total', reason => 'limit'), 'what was kept out is counted');
    is(says($said, 'few/1000'), 'headpond; fwd=miss; stored', 'what a limit has room for');
    is(says($said, 'few/3000'), 'headpond; fwd=miss', 'not what is more than it');
    $said->stop;
    my $storeless = Headpond->start(origin => $origin, config => { store => undef });
    is(says($storeless, 'few/1000'), 'headpond; fwd=miss', 'nothing is without a store');
    $storeless->stop;
};

subtest 'a limit' => sub {
    read_all('kept');
    is(held('kept'), 20 * $MIB, 'another\'s blocks');
    read_all('limited');
    is(held('limited'), 8 * $MIB, 'it holds what it may');
    is(held('kept'), 20 * $MIB, 'the other has lost nothing');
    $pond->get('/acct/limited/1', range => 'bytes=0-999') for 1 .. 2;
    is($pond->get('/acct/limited/1', range => 'bytes=0-999')->{headers}{'cache-status'}, 'headpond; hit', 'what comes again is a hit');
    cmp_ok(held('limited'), '<=', 8 * $MIB, 'within the limit');
    cmp_ok($pond->metric('headpond_store_victims_total', cause => 'limit'), '>=', 22 * 4, 'what it cost is counted');
};

subtest 'a flood' => sub {
    flood();
    is(held('kept'), 20 * $MIB, 'the reserve is kept');
    cmp_ok(held('limited'), '<=', 8 * $MIB, 'the limit as well');
    my $all = held('');
    ok($all <= 90 * $MIB && $all > 80 * $MIB, "the account holds what it may: $all");
    $origin->reset_stats;
    is(read_all('kept'), 2, 'all reads of what is reserved are hits');
    is($origin->data_requests, 0, 'no byte of it is fetched again');
};

subtest 'a restart' => sub {
    $pond->stop;
    $pond->run;
    $pond->wait_metric(20 * $MIB, 'headpond_store_quota_bytes', container => 'kept');
    is(held('kept'), 20 * $MIB, 'what is held is known again');
    flood();
    $origin->reset_stats;
    read_all('kept'); # the first asks whether it may, after a restart
    is($origin->data_requests, 0, 'and kept under another flood');
    $pond->stop;
};

subtest 'a lower limit' => sub {
    $pond->{account}{containers}[0] = { name => 'kept', freshness => 'immutable', limit => '5MiB' };
    $pond->write_config;
    $pond->run;
    ok($pond->wait_metric(sub { $_[0] > 0 && $_[0] <= 5 * $MIB }, 'headpond_store_quota_bytes', container => 'kept'),
        'takes effect at the start');
    my $reply = $pond->get('/acct/kept/1');
    ok($reply->{body} eq $origin->bytes('/acct/kept/1'), 'and what has gone is fetched');
    $pond->stop;
};

subtest 'more is reserved than there is room for blocks' => sub {
    $pond->{account} = { name => 'acct', reserve => '155MiB' };
    $pond->write_config;
    $pond->run;
    ok($pond->wait_log(qr/ warn store-quota path=\S+ reserved_mib=15\d room_mib=\d+: this disk/, 10), 'the log says so');
    is($pond->get("/acct/$_")->{status}, 200, "and it serves $_") for 'kept/1', 'flood/huge';
    $pond->stop;
};

done_testing();
