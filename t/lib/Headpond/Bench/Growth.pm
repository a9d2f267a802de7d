# SPDX-License-Identifier: Apache-2.0
# What contrib/bench measures as the work grows, `growth`: what a CPU second is worth where the store knows 10^4 to 10^7 blocks,
# and with one connection, 100 and 10,000. What is asked for is the same each time, so what changes is what it is looked up in,
# and how many wait. A table and a plot for the index, which is headpond's alone, and for connections, of all servers.
package Headpond::Bench::Growth;
use strict;
use warnings;
use Headpond::Bench::Load;
use Headpond::Bench::Plot;
use Headpond::Bench::Table;

our @steps = 4 .. 7;
my @sizes = qw(4k 1m);
# 10,000 replies of 1 MiB under way would show how the kernel goes about having no more memory for sockets.
my %connections = ('4k' => [1, 100, 10_000], '1m' => [1, 100]);
my $UNIT = 'requests a CPU second';
# Label and server of each step of the index; the first knows what is asked for and nothing else.
my @index = (['little more', 'headpond'], map { ["10^$_", 'headpond-' . 10**$_] } @steps);

# Those that run for this alone.
sub servers { my %there = map { $_ => 1 } @_; return grep { !$there{$_} } map { $_->[1] } @index }

sub loads { return map { Headpond::Bench::Load::all(["h1-$_"], @{ $connections{$_} }) } @sizes }

# A server's turns at a load, or none.
sub turns {
    my ($result, $name) = @_;
    return [ref $result->{$name} ? map { $_->{per_cpu} } @{ $result->{$name} } : ()];
}

# Markdown: a row each, [label, server], and a column for each number of connections.
sub table {
    my ($results, $corner, @rows) = @_;
    my @lines = map {
        my ($label, $name) = @$_;
        [$label, map { my $turns = turns($_->[1], $name); @$turns ? sprintf '%.0f', Headpond::Bench::Table::median(@$turns) : 'none' } @$results];
    } @rows;
    return Headpond::Bench::Table::cells([$corner, map { connections($_->[0]) } @$results], @lines);
}

sub connections { my ($load) = @_; my $n = $load->{connections}; return $n == 1 ? '1 connection' : "$n connections" }

# The results of each size: [[load, result], ...].
sub by_size {
    my ($results) = @_;
    my %of;
    push @{ $of{ $_->[0]{name} } }, $_ for @$results;
    return map { $of{$_} ? $of{$_} : () } map { "h1-$_" } @sizes;
}

# names: of the servers that are not there for the index's sake. results: [load, what Measure::load found].
sub tables {
    my ($names, $results) = @_;
    my $text = '';
    for my $group (by_size($results)) {
        my $what = 'ranges of ' . $group->[0][0]->size_name;
        $text .= "## As the index grows: $UNIT, $what\n\n" . table($group, 'blocks that the store knows', @index)
            . "## As connections grow: $UNIT, $what\n\n" . table($group, 'server', map { [$_, $_] } @$names);
    }
    return $text . "Where there is none, the table of that load says why.\n\n";
}

# File name, SVG, and so on.
sub plots {
    my ($names, $results) = @_;
    my @plots;
    for my $group (by_size($results)) {
        my ($load, $what) = ($group->[0][0], $group->[0][0]->size_name);
        push @plots, "growth-index-$load->{name}.svg", Headpond::Bench::Plot::lines("ranges of $what: $UNIT, as headpond's index grows", $UNIT,
            [map { $_->[0] } @index], 'blocks that the store knows',
            map { my ($of, $result) = @$_; [connections($of), map { turns($result, $_->[1]) } @index] } @$group);
        push @plots, "growth-connections-$load->{name}.svg", Headpond::Bench::Plot::lines("ranges of $what: $UNIT, as connections grow", $UNIT,
            [map { $_->[0]{connections} } @$group], 'connections', map { my $name = $_; [$name, map { turns($_->[1], $name) } @$group] } @$names);
    }
    return @plots;
}

1;
