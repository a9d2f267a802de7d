# SPDX-License-Identifier: Apache-2.0
# A small pool, simulated (t/sim/pool): what contrib/pool-sim reports of a large one keeps to its bounds here, too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $program = "$Headpond::build/t/sim/pool/pool_sim";
my @small = qw(nodes=200 regions=4 sidecars=4000 per_node=200 trials=8 joins=200 reads=10000 job=512 checkpoint=48);

# The rows of a scene: [kind, { field => value }].
sub rows {
    my ($scene, @terms) = @_;
    my ($status, $told, $errors) = Headpond::Process->run(command => [$program, $scene, @small, @terms]);
    is($status, 0, "$scene: runs") or diag($errors);
    return map { my ($kind, $fields) = /^(\w+) (.*)$/; [$kind, { $fields =~ /(\w+)=(.*?)(?= \w+=|$)/g }] } grep { !/^terms / } split /\n/, $told;
}

sub of_kind { my ($kind, @rows) = @_; return map { $_->[1] } grep { $_->[0] eq $kind } @rows }

sub by_how { my ($kind, @rows) = @_; return map { $_->{how} => $_ } of_kind($kind, @rows) }

for my $words (['balance', 'nodse=3'], ['blance'], ['balance', 'nodes=1']) {
    my ($status, undef, $errors) = Headpond::Process->run(command => [$program, @$words]);
    is($status >> 8, 2, "@$words: refused");
    like($errors, qr/^pool_sim: /, 'and why');
}

subtest 'placing' => sub {
    my @rows = rows('balance');
    my %chance = map { $_->{per_node} => $_ } of_kind('chance', @rows);
    for my $row (of_kind('balance', @rows)) {
        my $median = $chance{ $row->{per_node} }{median};
        my $what = "$row->{regions} regions, $row->{per_node} extents a node";
        ok($row->{within} >= $row->{trials} * ($row->{per_node} > 200 ? 1 : 0.75), "$what: the hottest has at most 1.25 of the mean")
            or diag("$row->{within} of $row->{trials}; $row->{most}");
        ok(abs($row->{median} - $median) < 0.05, "$what: as chance has it") or diag("$row->{median}, by chance $median");
    }
    my ($bounded) = grep { $_->{bound} eq '1.10' } of_kind('spill', @rows);
    ok($bounded->{hottest} <= 1.11, 'a bound holds') or diag($bounded->{hottest});
};

subtest 'joining and leaving' => sub {
    my @rows = rows('moves');
    is_deeply([rows('moves')], \@rows, 'the same each time');
    for my $row (of_kind('join', @rows)) {
        my $what = "a join of $row->{nodes} with $row->{extents} extents";
        ok(abs($row->{mean} - 1) < 0.04, "$what moves 1/N") or diag($row->{mean});
        is($row->{elsewhere}, 'none', "$what moves nothing but to it");
        is($row->{ring}, $row->{most}, "$what: by the ring as by its rule");
        ok($row->{beyond} <= $row->{joins} / 50, "$what: few are beyond 1.2") or diag($row->{beyond});
    }
    is((of_kind('join', @rows))[1]{beyond}, 0, 'none with 800 extents a node');
    ok($_->{hottest} < 1.25, 'a zone that leaves is taken over evenly') for of_kind('zone_leaves', @rows);
};

subtest 'reads' => sub {
    my %rounds = by_how('reads', rows('rounds'));
    for my $row (@rounds{qw(rounds_through rounds_direct)}) {
        is($row->{origin}, '1.0000', 'the origin is asked for each extent once, whichever region reads it first');
        is($row->{far}, '3.0000', 'and each other region gets it once');
        # 50 extents of its own region's a member, by chance.
        ok($row->{hottest_asking} > 1 && $row->{hottest_asking} <= 1.6, 'members share that') or diag($row->{hottest_asking});
        ok($row->{hottest_giving} <= 1.6, 'and what the others get') or diag($row->{hottest_giving});
        ok($row->{hottest_sent} <= 1.25, 'rounds: the hottest') or diag($row->{hottest_sent});
        is($row->{copies}, '0.0000', 'and nothing is taken for hot');
    }
    # What the last region should ask for the first one has others ask for: a quarter of what it reads first.
    my $apart = $rounds{rounds_apart};
    ok(abs($apart->{origin} - 1.25) < 0.02, 'a region that does not know of another costs the origin what that one asks for') or diag($apart->{origin});
    ok(abs($apart->{far} - 2.75) < 0.02, 'and crosses less') or diag($apart->{far});
    my %zipf = by_how('reads', rows('zipf'));
    for my $way (qw(through direct)) {
        my ($plain, $spread) = @zipf{ "zipf_${way}_plain", "zipf_$way" };
        ok($plain->{hottest_sent} > 2, "Zipf, $way: the hottest without spreading") or diag($plain->{hottest_sent});
        ok($spread->{hottest_sent} <= 1.5, "Zipf, $way: and with it") or diag($spread->{hottest_sent});
    }
};

subtest 'a job starts' => sub {
    my %way = by_how('storm', rows('storm'));
    is(scalar keys %way, 4, 'four ways');
    for my $row (values %way) {
        ok($row->{whole_s} >= $row->{ideal_s}, "$row->{how}: no faster than can be");
    }
    ok($way{direct}{whole_s} < $way{direct_plain}{whole_s} * 0.75, 'a crowd that is sent on is done sooner') or diag("$way{direct}{whole_s}, $way{direct_plain}{whole_s}");
    ok($way{direct}{sent} < 1.2, 'for few copies') or diag($way{direct}{sent});
};

subtest 'trouble' => sub {
    my %how = by_how('zone', rows('zone'));
    for my $row (values %how) {
        ok($row->{hedges} <= 0.021, "$row->{how}: hedges are within 2 %") or diag($row->{hedges});
        next unless $row->{how} =~ /^lost/;
        ok($row->{refetched} <= 1.05, "$row->{how}: fetched anew is what was lost") or diag($row->{refetched});
    }
    is($how{well}{late}, '0.00000', 'all is well');
    ok($how{cold}{hedges} + $how{cold}{unaffordable} < $how{cold_untold}{hedges} + $how{cold_untold}{unaffordable}, 'homes that say that they fetch save hedges');
    ok($how{lost_pings}{last_late_s} <= 1.5, 'pings find a lost zone within their second') or diag($how{lost_pings}{last_late_s});
};

subtest 'costs' => sub {
    my %cost = map { $_->{what} => $_->{value} } of_kind('cost', rows('costs'));
    is($cost{'connections of sidecars to a member'}, 640, 'connections');
    ok($cost{'of a loop to others'} <= 4096, 'as many as a loop may have');
};

done_testing;
