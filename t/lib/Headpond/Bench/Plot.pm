# SPDX-License-Identifier: Apache-2.0
# SVG, drawn by hand. Bars: a group for each load, a bar for each server. Lines: from step to step of something that grows. The
# least and the most of the turns is a line on each value.
package Headpond::Bench::Plot;
use strict;
use warnings;

my @colours = map { "#$_" } qw(0b6e99 d9730d 448361 9065b0 c14c8a 8d6e4f c29343 787774 222222 d44c47);
my ($LEFT, $TOP, $HEIGHT, $BAR, $GAP, $FOOT, $AXIS) = (20, 110, 300, 18, 40, 60, 60);

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
    my $out = frame($width, $title, "$unit; each group has a scale of its own", $names);
    for my $g (0 .. $#$groups) {
        my $left = $LEFT + $g * $group_width;
        $out .= group($left, $names, @{ $groups->[$g] });
        $out .= sprintf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#555\"/>\n", $left, $left + @$names * $BAR, ($TOP + $HEIGHT) x 2;
    }
    return $out . "</svg>\n";
}

# What is around: the title, what the colours stand for, and what is below.
sub frame {
    my ($width, $title, $below, $names) = @_;
    my $height = $TOP + $HEIGHT + $FOOT;
    my $out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"$width\" height=\"$height\" font-family=\"sans-serif\" font-size=\"11\">\n"
        . "<rect width=\"$width\" height=\"$height\" fill=\"white\"/>\n" . text(20, 22, $title, 'font-size' => 15)
        . text(20, $height - 12, $below, fill => '#555');
    for my $i (0 .. $#$names) {
        my $x = 20 + $i * ($width - 40) / @$names;
        $out .= sprintf("<rect x=\"%.1f\" y=\"34\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", $x, $colours[$i % @colours]) . text($x + 14, 43, $names->[$i]);
    }
    return $out;
}

# title, unit; what the steps are called and what all of them are; lines: [name, [values], [values], ...], values a step. All on
# one scale that begins at 0, so that what falls off is seen to.
sub lines {
    my ($title, $unit, $steps, $what, @lines) = @_;
    my $width = 900;
    my ($most) = sort { $b <=> $a } map { my ($name, @values) = @$_; map { @$_ } @values } @lines;
    my $unit_up = unit_up($most // 1);
    my $ceiling = $unit_up * (int(($most // 1) / $unit_up) + 1);
    my $x = sub { return $AXIS + ($width - $AXIS - 60) * ($_[0] + 0.5) / @$steps };
    my $y = sub { return $TOP + $HEIGHT * (1 - $_[0] / $ceiling) };
    my $out = frame($width, $title, "$unit; from left to right: $what", [map { $_->[0] } @lines]);
    for (my $value = 0; $value <= $ceiling; $value += $unit_up) {
        $out .= sprintf("<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", $AXIS, $width - 40, ($y->($value)) x 2)
            . text($AXIS - 6, $y->($value) + 4, $value ? number($value) : 0, 'text-anchor' => 'end');
    }
    $out .= text($x->($_), $TOP + $HEIGHT + 18, $steps->[$_], 'text-anchor' => 'middle') for 0 .. $#$steps;
    $out .= line($x, $y, $colours[$_ % @colours], @{ $lines[$_] }) for 0 .. $#lines;
    return $out . "</svg>\n";
}

# 1, 2 or 5 with zeros, of which five or more make up the most.
sub unit_up {
    my ($most) = @_;
    my $power = 10**int(log($most / 5) / log(10));
    my ($unit) = grep { $_ * 5 <= $most } map { $_ * $power } 5, 2, 1;
    return $unit // $power / 2;
}

# A step without values leaves a gap.
sub line {
    my ($x, $y, $colour, $name, @steps) = @_;
    my ($out, $before) = ('');
    for my $i (0 .. $#steps) {
        my @sorted = sort { $a <=> $b } @{ $steps[$i] };
        my $at = @sorted ? [$x->($i), $y->($sorted[@sorted / 2])] : undef;
        $out .= sprintf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2\"/>\n", @$before, @$at, $colour
            if $at && $before;
        $out .= sprintf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"black\"/>\n", ($at->[0]) x 2, $y->($sorted[0]), $y->($sorted[-1])
            if @sorted > 1;
        $out .= sprintf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"><title>%s: %s</title></circle>\n", @$at, $colour, escape($name),
            number($sorted[@sorted / 2]) if $at;
        $before = $at;
    }
    return $out;
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
