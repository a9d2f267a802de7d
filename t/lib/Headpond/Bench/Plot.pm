# SPDX-License-Identifier: Apache-2.0
# Bars in SVG, drawn by hand: a group for each load, a bar for each server, the least and the most of its turns as a line on it.
package Headpond::Bench::Plot;
use strict;
use warnings;

my @colours = map { "#$_" } qw(0b6e99 d9730d 448361 9065b0 c14c8a 8d6e4f c29343 787774 222222);
my ($LEFT, $TOP, $HEIGHT, $BAR, $GAP, $FOOT) = (80, 70, 300, 16, 30, 60);

sub escape { my ($text) = @_; return $text =~ s/&/&amp;/gr =~ s/</&lt;/gr =~ s/>/&gt;/gr }

# A round number of 1, 2 or 5 and zeros so that a handful of them covers the most.
sub step {
    my ($most) = @_;
    my $size = 10**int(log($most / 5) / log(10) - ($most < 5 ? 1 : 0));
    for (1, 2, 5, 10) { return $_ * $size if $_ * $size * 6 >= $most }
    return 10 * $size;
}

sub number {
    my ($value) = @_;
    return $value >= 10_000 ? sprintf('%.0fk', $value / 1000) : $value >= 100 ? sprintf('%.0f', $value) : $value >= 10 ? sprintf('%.1f', $value) : sprintf('%.2g', $value);
}

sub text {
    my ($x, $y, $words, %with) = @_;
    my $more = join '', map { " $_=\"$with{$_}\"" } sort keys %with;
    return sprintf "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", $x, $y, $more, escape($words);
}

# title, unit; names of the servers; groups: [label, { name => [values] }]. A server without values leaves a gap.
sub bars {
    my ($title, $unit, $names, $groups) = @_;
    my $most = 0;
    for my $group (@$groups) {
        for (values %{ $group->[1] }) { for my $value (@$_) { $most = $value if $value > $most } }
    }
    return if $most <= 0;
    my $group_width = @$names * $BAR + $GAP;
    my $width = $LEFT + @$groups * $group_width + 20;
    $width = 700 if $width < 700;
    my $height = $TOP + $HEIGHT + $FOOT;
    my $y = sub { return $TOP + $HEIGHT * (1 - $_[0] / ($most * 1.05)) };
    my $out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"$width\" height=\"$height\" font-family=\"sans-serif\" font-size=\"11\">\n"
        . "<rect width=\"$width\" height=\"$height\" fill=\"white\"/>\n" . text(20, 22, $title, 'font-size' => 15) . text(20, $TOP - 8, $unit, fill => '#555');
    for my $i (0 .. $#$names) {
        my $x = 20 + $i * ($width - 40) / @$names;
        $out .= sprintf("<rect x=\"%.1f\" y=\"34\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", $x, $colours[$i % @colours]) . text($x + 14, 43, $names->[$i]);
    }
    my $step = step($most);
    for (my $value = 0; $value <= $most * 1.05; $value += $step) {
        $out .= sprintf("<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", $LEFT, $width - 20, ($y->($value)) x 2)
            . text($LEFT - 6, $y->($value) + 4, number($value), 'text-anchor' => 'end');
    }
    for my $g (0 .. $#$groups) {
        my ($label, $values) = @{ $groups->[$g] };
        my $left = $LEFT + $g * $group_width + $GAP / 2;
        $out .= text($left + @$names * $BAR / 2, $TOP + $HEIGHT + 18, $label, 'text-anchor' => 'middle');
        for my $i (0 .. $#$names) {
            my @sorted = sort { $a <=> $b } @{ $values->{ $names->[$i] } // [] } or next;
            my ($x, $top) = ($left + $i * $BAR, $y->($sorted[@sorted / 2]));
            $out .= sprintf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"><title>%s, %s: %s</title></rect>\n",
                $x, $top, $BAR - 2, $TOP + $HEIGHT - $top, $colours[$i % @colours], escape($names->[$i]), escape($label), number($sorted[@sorted / 2]));
            $out .= sprintf("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"black\"/>\n", ($x + $BAR / 2 - 1) x 2, $y->($sorted[0]), $y->($sorted[-1]))
                if @sorted > 1;
        }
    }
    return $out . "</svg>\n";
}

1;
