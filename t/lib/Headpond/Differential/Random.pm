# SPDX-License-Identifier: Apache-2.0
# Choices that a seed repeats, on any perl (rand is not promised to). Each case has a generator of its own, so that it can be
# made again without those before it.
package Headpond::Differential::Random;
use strict;
use warnings;

sub new {
    my ($class, $seed, $number) = @_;
    my $state = mix(mix($seed & 0xffffffff) ^ ($number & 0xffffffff));
    my $self = bless { state => $state || 0x9e3779b9 }, $class;
    $self->next for 1 .. 8; # neighbours part
    return $self;
}

# The upper half of a product: what xor alone leaves linear is so no more.
sub mix { my ($x) = @_; return ($x * 2654435769 >> 32 ^ $x * 2654435769) & 0xffffffff }

# xorshift32, mixed
sub next {
    my ($self) = @_;
    my $x = $self->{state};
    $x ^= ($x << 13) & 0xffffffff;
    $x ^= $x >> 17;
    $x ^= ($x << 5) & 0xffffffff;
    $self->{state} = $x & 0xffffffff;
    return mix($self->{state});
}

# 0 .. n - 1
sub int { my ($self, $n) = @_; return $self->next % $n }
sub chance { my ($self, $percent) = @_; return $self->int(100) < $percent }
sub pick { my ($self, @list) = @_; return $list[$self->int(scalar @list)] }

# One of [weight, value], ...
sub weighted {
    my ($self, @rows) = @_;
    my $sum = 0;
    $sum += $_->[0] for @rows;
    my $at = $self->int($sum);
    for (@rows) {
        return $_->[1] if $at < $_->[0];
        $at -= $_->[0];
    }
}

1;
