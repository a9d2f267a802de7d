# SPDX-License-Identifier: Apache-2.0
# Bars in SVG, drawn by hand: a group for each load, a bar for each server, the least and the most of its turns as a line on it.
package Headpond::Bench::Plot;
use strict;
use warnings;

my @colours = map { "#$_" } qw(0b6e99 d9730d 448361 9065b0 c14c8a 8d6e4f c29343 787774 222222);
my ($LEFT, $TOP, $HEIGHT, $BAR, $GAP, $FOOT) = (20, 110, 300, 18, 40, 60);

sub escape { my ($text) = @_; return $text =~ s/&/&amp;/gr =~ s/</&lt;/gr =~ s/>/&gt;/gr }

sub number {
    my ($value) = @_;
    return $value >= 10_000 ? sprintf('%.0fk', $value / 1000) : $value >= 100 ? sprintf('%.0f', $value) : $value >= 10 ? sprintf('%.1f', $value) : sprintf('%.2g', $value);
}

sub text {
    my ($x, $y, $words, %with) = @_;
    my $more = join '', map { " $_=\"$with{$_}\"" } sort keys %with;
    return sprintf "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", $x, $y, $more, escape($words);
}

# title, unit; names of the servers; groups: [label, { name => [values] }]. A server without values leaves a gap. Each group
# has a scale of its own, or 4 MiB would be nothing beside 4 KiB; so each bar says its value.
sub bars {
    my ($title, $unit, $names, $groups) = @_;
    my $group_width = @$names * $BAR + $GAP;
    my $width = $LEFT + @$groups * $group_width + 20;
    $width = 900 if $width < 900;
    my $height = $TOP + $HEIGHT + $FOOT;
    my $out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"$width\" height=\"$height\" font-family=\"sans-serif\" font-size=\"11\">\n"
        . "<rect width=\"$width\" height=\"$height\" fill=\"white\"/>\n" . text(20, 22, $title, 'font-size' => 15)
        . text(20, $height - 12, "$unit; each group has a scale of its own", fill => '#555');
    for my $i (0 .. $#$names) {
        my $x = 20 + $i * ($width - 40) / @$names;
        $out .= sprintf("<rect x=\"%.1f\" y=\"34\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", $x, $colours[$i % @colours]) . text($x + 14, 43, $names->[$i]);
    }
    for my $g (0 .. $#$groups) {
        my $left = $LEFT + $g * $group_width;
        $out .= group($left, $names, @{ $groups->[$g] });
        $out .= sprintf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#555\"/>\n", $left, $left + @$names * $BAR, ($TOP + $HEIGHT) x 2;
    }
    return $out . "</svg>\n";
}

sub group {
    my ($left, $names, $label, $values) = @_;
    my ($most) = sort { $b <=> $a } map { @$_ } values %$values;
    my $out = text($left + @$names * $BAR / 2, $TOP + $HEIGHT + 18, $label, 'text-anchor' => 'middle');
    my $y = sub { return $TOP + $HEIGHT * (1 - $_[0] / $most) };
    for my $i (0 .. $#$names) {
        my @sorted = sort { $a <=> $b } @{ $values->{ $names->[$i] } // [] } or next;
        my ($x, $middle) = ($left + $i * $BAR, $sorted[@sorted / 2]);
        my ($centre, $top) = ($x + $BAR / 2 - 1, $y->($middle));
        $out .= sprintf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"><title>%s, %s: %s</title></rect>\n",
            $x, $top, $BAR - 2, $TOP + $HEIGHT - $top, $colours[$i % @colours], escape($names->[$i]), escape($label), number($middle);
        $out .= sprintf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"black\"/>\n", ($centre) x 2, $y->($sorted[0]), $y->($sorted[-1]) if @sorted > 1;
        my ($at, $from) = ($centre + 4, $y->($sorted[-1]) - 5);
        $out .= text($at, $from, number($middle), transform => sprintf('rotate(-90 %.1f %.1f)', $at, $from));
    }
    return $out;
}

1;
