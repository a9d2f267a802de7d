# SPDX-License-Identifier: Apache-2.0
# The tables of contrib/bench, in Markdown: their columns, with what each means (contrib/bench --help prints it), and how they
# are written. Knows nothing of servers and loads nothing, so that the help needs nothing but perl.
package Headpond::Bench::Table;
use strict;
use warnings;

my $MIB = 1 << 20;

# Columns: head, format, figure of a turn, how it is scaled, what it means.
our @load = (
    ['requests/s', '%.0f', 'requests_s', 1, 'replies a second'],
    ['GiB/s', '%.2f', 'gib_s', 1, 'bytes of their bodies'],
    ['whole p50 ms', '%.3f', 'p50', 1, 'from a request to the last byte of its reply: half took no longer'],
    ['whole p99 ms', '%.3f', 'p99', 1, 'nor 99 of 100'],
    ['first byte p50 ms', '%.3f', 'first_p50', 1, 'to the first byte, by a client that compares every byte and so is slower'],
    ['first byte p99 ms', '%.3f', 'first_p99', 1, 'the same, 99 of 100'],
    ['CPU µs a request', '%.1f', 'cpu_request', 1, 'of all the server\'s threads and processes, user and system'],
    ['CPU s a GiB', '%.3f', 'cpu_gib', 1, 'the same by bytes'],
    ['requests a CPU s', '%.0f', 'per_cpu', 1, 'the same as a rate'],
    ['% of a core', '%.0f', 'busy', 100, 'what the server took of its core'],
    ['client', '%.0f', 'client', 100, 'what the client took of its own: at 100 it was the limit'],
    ['others', '%.0f', 'others', 100, 'what all else on the machine took: should be next to nothing'],
    ['memory MiB', '%.0f', 'memory', 1 / $MIB, 'resident; what processes share counts once; the page cache does not'],
    ['with mapped files', '%.0f', 'mapped', 1 / $MIB, 'the same with files that it has mapped'],
);
our @fill = (
    ['MB/s', '%.0f', 'mb_s', 1, 'of the blob, by the time until the last reader had all of it'],
    ['wall s', '%.2f', 'wall', 1, 'that time'],
    ['first byte ms', '%.1f', 'first', 1, 'from a request to its first byte; of many readers the median'],
    ['origin bytes / blob', '%.4f', 'once', 1, 'how many times its bytes left the storage'],
    ['origin requests', '%.0f', 'requests', 1, 'that the storage was asked'],
    ['CPU s a GiB', '%.2f', 'cpu', 1, 'of the server, by the blob\'s bytes'],
    ['most memory MiB', '%.0f', 'memory', 1 / $MIB, 'resident, while it was read'],
);
our @crowd = (
    ['bytes an idle connection', '%.0f', 'idle', 1, 'that the server\'s memory grew by, each'],
    ['bytes a slow one', '%.0f', 'slow', 1, 'the same'],
    ['kernel bytes a slow one', '%.0f', 'kernel', 1, 'in sockets'],
    ['new client p50 ms, alone', '%.3f', 'quiet_p50', 1, 'from its connecting to its reply of 4 KiB, before the crowd is there'],
    ['p99', '%.3f', 'quiet_p99', 1, 'the same, 99 of 100'],
    ['among them p50', '%.3f', 'busy_p50', 1, 'and while it is'],
    ['p99', '%.3f', 'busy_p99', 1, 'the same, 99 of 100'],
);

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# Of each figure the median of the turns.
sub medians {
    my ($turns) = @_;
    return { map { my $what = $_; $what => median(map { $_->{$what} } @$turns) } keys %{ $turns->[0] } };
}

# A table of cells; a row that is short ends in empty ones.
sub cells {
    my ($heads, @rows) = @_;
    my $line = sub { my @of = @_; return '| ' . join(' | ', map { $of[$_] // '' } 0 .. $#$heads) . " |\n" };
    return $line->(@$heads) . '|---' x @$heads . "|\n" . join('', map { $line->(map { s/\|/\\|/gr } @$_) } @rows) . "\n";
}

# A table of medians. Rows: { name, turns => [figures, ...], why => there are none, or nothing }. ratio: the figure of which a
# last column says how much more the first row has of it than this one.
sub figures {
    my ($corner, $columns, $rows, $ratio) = @_;
    my @medians = map { !$_->{why} && @{ $_->{turns} // [] } ? medians($_->{turns}) : undef } @$rows;
    my @lines = map {
        my ($row, $m) = ($rows->[$_], $medians[$_]);
        my @cells = $m ? map { sprintf $_->[1], $m->{ $_->[2] } * $_->[3] } @$columns : 'none: ' . ($row->{why} // 'no turns');
        push @cells, sprintf '%.2f', $medians[0]{$ratio} / $m->{$ratio} if $m && $ratio && $medians[0] && $m->{$ratio} > 0;
        [$row->{name}, @cells];
    } 0 .. $#$rows;
    return cells([$corner, (map { $_->[0] } @$columns), $ratio ? "$rows->[0]{name} to it" : ()], @lines);
}

# What the columns mean, a line each.
sub meanings {
    my (@columns) = @_;
    my $wide = sub { my $n = () = $_[0] =~ /[^\x80-\xbf]/g; return $n }; # characters of UTF-8
    return join '', map { sprintf "  %s%s %s\n", $_->[0], ' ' x (25 - $wide->($_->[0])), $_->[4] } @columns;
}

1;
