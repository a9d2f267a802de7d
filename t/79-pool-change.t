# SPDX-License-Identifier: Apache-2.0
# A pool whose nodes come, go and come again: what others hold is not fetched anew for that, and no read fails.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Blobs;
use Headpond::Pool;
use List::Util qw(sum);
use Test::More;

my $MIB = 1 << 20;
my @SIZES = (100_000, $MIB, 7 * $MIB + 5, 16 * $MIB + 1, 20 * $MIB);
my $READERS = 20;
my $REQUEST = 4 * $MIB; # of the origin, mostly

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);

sub start {
    my (%o) = @_;
    return Headpond::Pool->start(regions => { west => 4 }, origin => $origin, store_size => '512MiB',
        account => { freshness => '3600s', authorize_ttl => '3600s' }, %o);
}

sub blobs { my ($prefix, $rounds) = @_; return Headpond::Blobs->make(origin => $origin, prefix => $prefix, sizes => [(@SIZES) x $rounds]) }
sub reading { my ($blobs, $pool, @nodes) = @_; return $blobs->start_reading($pool, concurrency => $READERS, block => $MIB, nodes => \@nodes) }

my @FIRST = map { "west-$_" } 1 .. 3;
my @ALL = (@FIRST, 'west-4');

# Of bytes that were asked of the origin because another node was late.
sub hedged { my ($pool) = @_; return $pool->metrics('headpond_hedged_bytes_total', to => 'origin') }

# A fourth one comes, with an empty store; until then the first three have been at home in its place.
subtest 'a node that joins' => sub {
    my $pool = start(absent => ['west-4']);
    my $blobs = blobs('before', 5);
    # Through one of them, so that nobody but a home and that one has anything.
    Headpond::Blobs::right(reading($blobs, $pool, 'west-1')->finish, 'before');
    $blobs->read_until_kept($pool, sub { reading($blobs, $pool, 'west-1')->finish });
    $pool->restart('west-4');
    $origin->reset_stats;
    my $hedged = hedged($pool);
    Headpond::Blobs::right(reading($blobs, $pool, 'west-4')->finish, 'through the new one');
    $pool->settle;
    # Blobs whose records are at home there are unknown to it, and opened: a quarter of them, by chance.
    my $opened = sum(map { $_->{size} < $REQUEST ? $_->{size} : $REQUEST } @{ $blobs->{blobs} }) / 2;
    cmp_ok($blobs->cost, '<=', $opened + hedged($pool) - $hedged, 'others gave it what they had: all but openings') or diag("of $blobs->{bytes}");
    my $got = $pool->node('west-4')->metric('headpond_peer_bytes_total');
    cmp_ok($got, '>=', $blobs->{bytes} - $blobs->cost, 'the rest of it came from them');
    my $before = $blobs->cost;
    Headpond::Blobs::right(reading($blobs, $pool, @ALL)->finish, 'through all');
    $pool->settle;
    cmp_ok($blobs->cost - $before, '<=', $blobs->count + hedged($pool) - $hedged, 'which costs nothing more');
    my $try = 0;
    ok(Headpond::Process::wait_until(sub { Headpond::Blobs::right(reading(blobs('after-' . ++$try, 1), $pool, @FIRST)->finish, 'new ones'); $pool->asked(\@FIRST, ['west-4'], 'ok') > 0 }, 10),
        'the others ask it, now that it is there');

    # While they are read.
    my $during = blobs('during', 5);
    $pool->lose('west-4');
    $origin->reset_stats;
    $hedged = hedged($pool);
    my $client = reading($during, $pool, @FIRST);
    Headpond::Process::wait_until(sub { $during->cost > $during->{bytes} / 4 });
    $pool->restart('west-4');
    Headpond::Blobs::right($client->finish, 'while another comes');
    Headpond::Blobs::right(reading($during, $pool, @ALL)->finish, 'and then');
    $pool->settle;
    # What readers had under way when it came may come twice.
    cmp_ok($during->cost, '<=', $during->{bytes} + 2 * $during->count + $READERS * $MIB + hedged($pool) - $hedged, 'for that the origin is asked next to nothing again')
        or diag("of $during->{bytes}");
    $pool->stop;
};

# Nobody reads through it, so that all it has fetched is what it was asked for as a home.
subtest 'a node that is killed' => sub {
    my $pool = start();
    my $blobs = blobs('killed', 6);
    $origin->reset_stats;
    my $client = reading($blobs, $pool, @FIRST);
    Headpond::Process::wait_until(sub { $blobs->cost > $blobs->{bytes} / 2 });
    my $victim = $pool->node('west-4');
    my $held = $victim->metric('headpond_origin_bytes_total');
    $pool->kill('west-4');
    Headpond::Blobs::right($client->finish, 'while it dies');
    $pool->settle;
    cmp_ok($held, '>', $blobs->{bytes} / 20, 'it had fetched some of it');
    # What it fetched since it told, and had not passed on.
    my $under_way = $READERS * $MIB;
    cmp_ok($blobs->cost, '<=', $blobs->{bytes} + $blobs->count + $held + $under_way + hedged($pool), 'what came twice is no more than it held')
        or diag("of $blobs->{bytes}, it held $held");
    $pool->stop;
};

# All that there is is with all; clients are everywhere, also at the one that goes.
subtest 'a restart of all, one after the other' => sub {
    my $pool = start();
    my $blobs = blobs('rolling', 3);
    my $every = sub { Headpond::Blobs::right(reading($blobs, $pool, $_)->finish, "through $_ alone") for @ALL };
    $every->();
    $blobs->read_until_kept($pool, $every);
    $origin->reset_stats;
    for my $name (@ALL) {
        my $client = $blobs->start_reading($pool, concurrency => $READERS, block => $MIB, nodes => \@ALL, once => [], fail_over => []);
        $pool->restart($name);
        Headpond::Blobs::right($client->finish, "$name restarts");
    }
    $pool->settle;
    # Stores outlive it; a record may be asked for anew by whoever stands in for its home, once each time.
    cmp_ok($blobs->cost, '<=', @ALL * $blobs->count, 'no byte of a block is fetched for that');
    $pool->stop;
};

$origin->stop;
done_testing;
