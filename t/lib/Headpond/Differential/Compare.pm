# SPDX-License-Identifier: Apache-2.0
# Whether two replies say the same. Status, error code, body, and every header but those that belong to who sends it; an
# error's text is its own, its code and its elements are not. What may differ all the same is an exception: a row with a
# name and its reason, told at the end with how often it was needed.
package Headpond::Differential::Compare;
use strict;
use warnings;

# Headers of the reply, not of what was asked for.
our @OWN = (
    ['date', 'the time of the reply'], ['x-ms-request-id', 'the reply\'s own; headpond\'s where it has composed the reply'],
    ['server', '"headpond" on what it composes, the origin\'s on what it relays'], ['via', 'headpond says that it was there'],
    ['age', 'headpond says how long ago the blob was validated'], ['cache-status', 'headpond says how the reply came about'],
    ['proxy-status', 'headpond says that the error is its own'], ['connection', 'of one hop'], ['keep-alive', 'of one hop'],
    ['transfer-encoding', 'framing, of one hop'], ['content-length', 'framing; of a success it is compared, of an error the texts differ'],
);
my %own = map { $_->[0] => 1 } @OWN;

sub headers {
    my ($reply) = @_;
    my %all;
    push @{ $all{ $_->[0] } }, $_->[1] for @{ $reply->{headers} };
    return { map { $_ => join ', ', sort @{ $all{$_} } } keys %all };
}

sub elements {
    my ($body) = @_;
    my %names = map { $_ => 1 } $body =~ /<(\w+)[^>]*>/g;
    return join ' ', sort keys %names;
}

sub code {
    my ($reply, $headers) = @_;
    return $headers->{'x-ms-error-code'} // ($reply->{body} =~ m{<Code>(\w+)</Code>} ? $1 : '');
}

# A reply as Headpond::Http gives it, in the form that is compared here.
sub from_http { my ($reply) = @_; return { %$reply, headers => [map { [$_, $reply->{headers}{$_}] } keys %{ $reply->{headers} }] } }

# What differs: [field, direct, through], ...
sub differences {
    my ($direct, $through) = @_;
    return (['broken', $direct->{broken} // 'whole', $through->{broken} // 'whole']) if $direct->{broken} || $through->{broken};
    my @found;
    my ($a, $b) = map { headers($_) } $direct, $through;
    my $note = sub { push @found, [@_] if $_[1] ne $_[2] };
    $note->('status', $direct->{status}, $through->{status});
    $note->('code', code($direct, $a), code($through, $b));
    my $failed = $direct->{status} >= 400 && $through->{status} >= 400;
    if ($failed) {
        $note->('elements', elements($direct->{body}), elements($through->{body}));
    } elsif ($direct->{body} ne $through->{body}) {
        push @found, ['body', about($direct->{body}), about($through->{body})];
    }
    my %names = map { $_ => 1 } keys %$a, keys %$b;
    for my $name (sort keys %names) {
        next if $own{$name} && ($name ne 'content-length' || $failed);
        $note->("header:$name", $a->{$name} // '(none)', $b->{$name} // '(none)');
    }
    return @found;
}

sub about {
    my ($body) = @_;
    return length($body) . ' bytes, ' . unpack('%32C*', $body) . ', beginning ' . substr($body, 0, 60) =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ger;
}

1;
