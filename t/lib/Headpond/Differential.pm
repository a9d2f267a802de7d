# SPDX-License-Identifier: Apache-2.0
# The differential test: thousands of requests, each sent to the origin and through headpond, cold and warm; the answers must
# agree. contrib/differential is its long form, t/50-differential.t the short one.
package Headpond::Differential;
use strict;
use warnings;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Headpond;
use Headpond::Azurite;
use Headpond::Differential::Compare;
use Headpond::Differential::Exceptions;
use Headpond::Differential::Random;
use Headpond::Differential::Reads;
use Headpond::Differential::Wire;
use Headpond::Differential::World;
use Headpond::Differential::Writes;

my $ACCOUNT = $Headpond::Azurite::account;
my $KEY = $Headpond::Azurite::key;
my ($KEY2, $OTHER_KEY) = map { encode_base64($_ x 64, '') } 'k', 'o';
my $TOLD_MAX = 20;   # differences that are printed whole
my $WARM_TRIES = 3;  # a fill may still be under way when its first reader has what it asked for

# name, account settings, the style of the origin's URLs.
my @PONDS = (
    ['origin-3600s', { authorize => 'origin', freshness => '3600s' }, 'path'], ['origin-0s', { authorize => 'origin', freshness => '0s' }, 'host'],
    ['key-3600s', { authorize => 'key', freshness => '3600s' }, 'host'], ['key-0s', { authorize => 'key', freshness => '0s' }, 'path'],
);

# ---- The origin and the ponds. ----

sub start_origin {
    my ($kind) = @_;
    return Headpond::Azurite->start(accounts => "$ACCOUNT:$KEY:$KEY2;otheraccount:$OTHER_KEY") if $kind eq 'azurite';
    my $origin = Headpond::Origin->start;
    $origin->account($ACCOUNT, key => $KEY, key2 => $KEY2);
    $origin->account('otheraccount', key => $OTHER_KEY);
    return $origin;
}

sub start_ponds {
    my ($self) = @_;
    my ($port) = $self->{origin}{address} =~ /:(\d+)$/;
    my %base = (path => "http://127.0.0.1:$port/$ACCOUNT", host => "http://$ACCOUNT.blob.localhost:$port");
    Headpond::Process::spew("$self->{dir}/key", "$KEY\n$KEY2\n");
    for (@PONDS) {
        my ($name, $account, $style) = @$_;
        my %key = $account->{authorize} eq 'key' ? (key_file => "$self->{dir}/key") : ();
        my $pond = Headpond->start(config => { accounts => [{ name => $ACCOUNT, origin => $base{$style}, %$account, %key }] });
        push @{ $self->{ponds} }, { name => $name, pond => $pond, style => $style, key => scalar(%key), fresh => $account->{freshness} ne '0s',
            wire => Headpond::Differential::Wire->new($pond->{http}), count => {} };
    }
}

# ---- One case. ----

sub send_direct {
    my ($self, $request, $style) = @_;
    my $bytes = $self->{world}->write_out($request, { address => $self->{origin}{address}, style => $style });
    return ($self->{wire}->exchange($request->{method}, $bytes), $bytes);
}

sub send_through {
    my ($self, $pond, $request, $style) = @_;
    my $bytes = $self->{world}->write_out($request, { address => $pond->{pond}{http}, style => $style });
    my $reply = $pond->{wire}->exchange($request->{method}, $bytes);
    $pond->{count}{through}++;
    my ($status) = map { $_->[1] } grep { $_->[0] eq 'cache-status' } @{ $reply->{headers} };
    $reply->{hit} = ($status // '') =~ /^headpond; hit/;
    return $reply;
}

# A client by Shared Key signs the path as it sends it, and headpond can sign anew only what it may judge.
sub client_style {
    my ($pond, $case, $random) = @_;
    my $fixed = $case->{request}{sign} && !($pond->{key} && $case->{credential} =~ /^shared-key(2|-dates?)?$/);
    return $pond->{style} if $fixed || $random->chance(60);
    return $pond->{style} eq 'path' ? 'host' : 'path';
}

# Compares and tells. `what` says which of the replies it is.
sub judge {
    my ($self, $case, $what, $direct, $through) = @_;
    my (@left, %used);
    for my $difference (Headpond::Differential::Compare::differences($direct, $through)) {
        my $exception = Headpond::Differential::Exceptions::covers($self->{kind}, $case, @$difference, $direct, $through);
        if (defined $exception) {
            $used{$exception} = 1;
        } else {
            push @left, $difference;
        }
    }
    $self->{exceptions}{$_}++ for keys %used;
    $self->tell($case, $what, $direct, $through, @left) if @left;
    return !@left;
}

sub head_text {
    my ($reply) = @_;
    my $body = $reply->{status} >= 400 ? "\n" . substr $reply->{body}, 0, 400 : '';
    return join "\n", "$reply->{status} " . ($reply->{reason} // $reply->{broken} // ''), (map { "$_->[0]: $_->[1]" } @{ $reply->{headers} }), $body;
}

sub tell {
    my ($self, $case, $what, $direct, $through, @left) = @_;
    $self->{differences}++;
    # One line for all that differ alike, with the first of them.
    my @first = grep { $_->[0] =~ /^(status|code)$/ } @left;
    my $kind = join ' ', map { $_->[0] =~ /^(status|code|hit)$/ ? "$_->[0] $_->[1] -> $_->[2]" : $_->[0] } @first ? @first : @left;
    push @{ $self->{kinds}{$kind} }, "$case->{number} ($case->{pond} $case->{request}{method} $case->{credential} " . join(' ', sort keys %{ $case->{with} }) . ')';
    return if $self->{differences} > $TOLD_MAX;
    diag("---- difference $self->{differences}: $what, $case->{pond}, $case->{credential}, with " . join(' ', sort keys %{ $case->{with} }));
    diag("$_->[0]: direct $_->[1]; through headpond $_->[2]") for @left;
    diag("again: contrib/differential --origin $self->{kind} --seed $self->{seed} --only $case->{number}");
    diag("request:\n" . Headpond::Differential::World::redact($case->{text}));
    diag('direct: ' . head_text($direct));
    diag('through: ' . head_text($through));
}

sub run_read {
    my ($self, $pond, $random, $number) = @_;
    my $case = Headpond::Differential::Reads::build($self->{world}, $random, $number);
    my $style = client_style($pond, $case, $random);
    $case->{pond} = $pond->{name};
    my $request = $case->{request};
    my ($direct, $bytes) = $self->send_direct($request, $pond->{style});
    $case->{text} = $bytes;
    my $cached = $case->{for_cache} eq '1' || $case->{for_cache} eq 'key' && $pond->{key};
    # A blob's token on one of its versions is the origin's to judge; and what it judges with overrides is not for the cache.
    $cached = 0 if $case->{credential} =~ /overrides/ && $bytes =~ /[?&](?:versionid|snapshot)=/;
    my $good = $direct->{status} == 200 || $direct->{status} == 206 && $direct->{body} ne ''; # Azurite knows empty ranges
    my $expected = $pond->{fresh} && $cached && $good;
    my $agreed = 1;
    my $last;
    for my $turn (0 .. $WARM_TRIES) {
        $last = $self->send_through($pond, $request, $style);
        $self->count($pond, $case, $last);
        $agreed &&= $self->judge($case, $turn == 0 ? 'first' : 'again', $direct, $last);
        # Whether a blob still ends where it did is asked each time.
        $expected = 0 if $last->{status} == 416;
        last if !$agreed || $turn >= 1 && (!$expected || $last->{hit});
        $pond->{pond}->settle if $turn == $WARM_TRIES - 1;
    }
    $self->tell($case, 'again', $direct, $last, ['hit', 'expected', 'none']) if $agreed && $expected && !$last->{hit};
    $self->{world}->remove($case->{made}{container}, $case->{made}{name}) if $case->{made};
}

sub count {
    my ($self, $pond, $case, $reply) = @_;
    $pond->{count}{hits}++ if $reply->{hit};
    $self->{hits}{$case->{credential}}++ if $reply->{hit};
    $self->{hit_kinds}{"$case->{request}{method} $reply->{status}"}++ if $reply->{hit};
}

# ---- All of them. ----

# origin => scripted | azurite, requests => how many cases, seed, only => one case's number.
sub run {
    my (%o) = @_;
    my $self = bless { kind => $o{origin}, seed => $o{seed}, dir => Headpond->folder, differences => 0, exceptions => {} }, __PACKAGE__;
    note("seed $o{seed}");
    $self->{origin} = start_origin($o{origin});
    $self->{wire} = Headpond::Differential::Wire->new($self->{origin}{address});
    $self->{world} = Headpond::Differential::World->new(address => $self->{origin}{address}, account => $ACCOUNT, key => $KEY, key2 => $KEY2, other_key => $OTHER_KEY);
    $self->{world}->populate;
    $self->start_ponds;
    for my $number (defined $o{only} ? $o{only} : 1 .. $o{requests}) {
        my $random = Headpond::Differential::Random->new($o{seed}, $number);
        my $pond = $random->pick(@{ $self->{ponds} });
        $pond->{count}{cases}++;
        if ($random->chance(6)) {
            Headpond::Differential::Writes::run($self, $pond, $random, $number);
        } else {
            $self->run_read($pond, $random, $number);
        }
        note("$number: $self->{differences} differences") if $number % 2000 == 0;
    }
    $self->report(%o);
    $_->{pond}->stop for @{ $self->{ponds} };
    $self->{origin}->stop;
}

sub report {
    my ($self, %o) = @_;
    is($self->{differences}, 0, "$self->{kind}: no difference that is not an exception, seed $self->{seed}");
    my $kinds = $self->{kinds} // {};
    diag(sprintf '%5d x %s; first %s', scalar @{ $kinds->{$_} }, $_, $kinds->{$_}[0]) for sort { @{ $kinds->{$b} } <=> @{ $kinds->{$a} } } keys %$kinds;
    note('headers that are not compared:');
    note(sprintf '  %-18s %s', @$_) for @Headpond::Differential::Compare::OWN;
    note('exceptions:');
    for (@Headpond::Differential::Exceptions::ROWS) {
        my ($name, $for, $reason) = @$_;
        note(sprintf '  %6d x %-26s %s', $self->{exceptions}{$name} // 0, $name, $reason) if $for eq 'both' || $for eq $self->{kind};
    }
    note(sprintf '  %-14s %6s %8s %8s', qw(pond cases through hits));
    note(sprintf '  %-14s %6d %8d %8d', $_->{name}, map { $_ // 0 } @{ $_->{count} }{qw(cases through hits)}) for @{ $self->{ponds} };
    return if defined $o{only};
    cmp_ok($_->{count}{hits} // 0, '>', $_->{count}{cases} / 10, "$_->{name}: hits") for grep { $_->{fresh} } @{ $self->{ponds} };
    cmp_ok($self->{hit_kinds}{$_} // 0, '>', 0, "hits, $_") for 'GET 200', 'GET 206', 'HEAD 200', 'GET 304';
    cmp_ok($self->{hits}{$_} // 0, '>', 0, "hits of $_") for qw(anonymous sas-container sas-blob sas-account sas-policy shared-key);
}

1;
