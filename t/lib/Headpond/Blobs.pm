# SPDX-License-Identifier: Apache-2.0
# Blobs at an origin that are read whole, and what that cost it.
#
#     my $blobs = Headpond::Blobs->make(origin => $origin, prefix => 'cold', sizes => [1, 3 << 20]);
#     Headpond::Blobs::right($blobs->read($pool, nodes => ['west-1']), 'cold');
#     cmp_ok($blobs->cost, '<=', $blobs->{bytes} + $blobs->count, 'once, and a byte each for its record');
package Headpond::Blobs;
use strict;
use warnings;
use Headpond;
use Test::More;

my $next_seed = 100;

# container (acct/data), prefix (b) of the names, and how large each is: sizes => [...], none 0. Seeds go on from blob
# to blob, so that no two have the same bytes.
sub make {
    my ($class, %o) = @_;
    my $self = bless { origin => $o{origin}, container => $o{container} // 'acct/data', blobs => [], bytes => 0 }, $class;
    my $prefix = $o{prefix} // 'b';
    for my $size (@{ $o{sizes} }) {
        my $blob = { name => "$prefix-" . @{ $self->{blobs} }, size => $size, seed => $next_seed++ };
        $blob->{path} = "/$self->{container}/$blob->{name}";
        $o{origin}->blob($blob->{path}, size => $size, seed => $blob->{seed});
        push @{ $self->{blobs} }, $blob;
        $self->{bytes} += $size;
    }
    return $self;
}

sub count { my ($self) = @_; return scalar @{ $self->{blobs} } }

# As blob-client has them.
sub list { my ($self) = @_; return join ',', map { "$_->{name}:$_->{size}:$_->{seed}" } @{ $self->{blobs} } }

# What their bytes cost the origin since its statistics began.
sub cost {
    my ($self) = @_;
    my $paths = $self->{origin}->stats->{paths};
    my $sum = 0;
    $sum += ($paths->{ $_->{path} } // {})->{body_bytes} // 0 for @{ $self->{blobs} };
    return $sum;
}

# Somebody begins to read all of them through these `nodes` (all), each block once, in an order of its own. The rest: as
# blob-client has it.
sub start_reading {
    my ($self, $pool, %o) = @_;
    return $pool->start_client('blocks', blobs => $self->list, container => $self->{container}, once => [], shuffle => [], block => 4 << 20,
        concurrency => 30, timeout => 120, %o);
}

sub read { my ($self, $pool, %o) = @_; return $self->start_reading($pool, %o)->finish }

# Whether a report of that is good; and a check of it.
sub is_right {
    my ($got) = @_;
    return $got->{requests} && !$got->{mismatches} && !$got->{failures} && !$got->{errors};
}

sub right {
    my ($got, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(is_right($got), "$what: every byte is right") || diag(explain($got));
}

# Has the code read until that costs the origin none of their bytes: a disk that is busy may leave some out.
sub read_until_kept {
    my ($self, $pool, $read) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    for (1 .. 8) {
        $pool->settle;
        $self->{origin}->reset_stats;
        $read->();
        last if !$self->cost;
    }
    return is($self->cost, 0, 'all of it is kept');
}

1;
