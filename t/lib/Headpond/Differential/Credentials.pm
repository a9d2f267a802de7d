# SPDX-License-Identifier: Apache-2.0
# Who asks: everything that may stand in a request as its credential, good and bad. Each row says what it adds to a request
# for a blob and whether a read with it is one that the cache may answer.
package Headpond::Differential::Credentials;
use strict;
use warnings;
use Headpond::Differential::Sign;

sub valid {
    my ($from, $to) = @_;
    return (st => Headpond::Differential::Sign::iso_date(time + $from), se => Headpond::Differential::Sign::iso_date(time + $to));
}

# A service SAS for the container or the blob; `wrong` replaces what is signed.
sub service {
    my ($world, $target, $wrong, %p) = @_;
    my %o = (account => $world->{account}, key => $world->{key}, container => $target->{container}, blob => $target->{name}, snapshot => $target->{snapshot}, %$wrong);
    return { query => [Headpond::Differential::Sign::service_sas(%o, parameters => { sp => 'r', valid(-3600, 3600 + $target->{serial}), %p })] };
}

sub account {
    my ($world, $target, $wrong, %p) = @_;
    my %o = (account => $world->{account}, key => $world->{key}, %$wrong);
    return { query => [Headpond::Differential::Sign::account_sas(%o, parameters => { sp => 'rl', valid(-3600, 3600 + $target->{serial}), %p })] };
}

# For a test that watches its logs for them: to read, with no start.
sub secret { my ($credential) = @_; push @Headpond::Origin::secrets, $credential->{query}[0] =~ /sig=([^&]+)/; return $credential }
sub secret_service { my ($world, $target, %p) = @_; return secret(service($world, $target, {}, st => undef, %p)) }
sub secret_account { my ($world, $target) = @_; return secret(account($world, $target, {}, st => undef, sp => 'r')) }

sub key {
    my ($world, $target, $offset, %sign) = @_;
    return { sign => { key => $world->{key}, date => Headpond::Differential::Sign::http_date(time + $offset), %sign } };
}

sub header { my (@lines) = @_; return { headers => [map { [Authorization => $_] } @lines] } }

my %no_times = (st => undef, se => undef);

# name, weight, what it adds, for the cache: 1 yes, 'key': where headpond has the key, 0 no.
my @ROWS = (
    ['anonymous', 24, sub { +{} }, 1],
    ['sas-container', 14, sub { service(@_, {}) }, 1],
    ['sas-blob', 14, sub { service(@_, {}, sr => 'b') }, 1],
    ['sas-account', 10, sub { account(@_, {}) }, 1],
    ['sas-old', 3, sub { service(@_, {}, sv => '2015-04-05') }, 1],
    ['sas-middle', 3, sub { service(@_, {}, sv => '2019-12-12', sr => 'b') }, 1],
    ['sas-key2', 3, sub { my ($w, $t) = @_; service($w, $t, { key => $w->{key2} }) }, 1],
    ['sas-policy', 6, sub { service(@_, {}, si => 'readers', sp => undef, %no_times) }, 1],
    ['sas-overrides', 6, sub { service(@_, {}, rsct => 'text/x-other; charset=utf-8', rscd => 'inline; filename="a b"', rscc => 'no-store') }, 'key'],
    ['sas-overrides-more', 3, sub { service(@_, {}, sr => 'b', rsce => 'identity', rscl => 'fr,en') }, 'key'],
    ['sas-ip', 3, sub { service(@_, {}, sip => '127.0.0.1') }, 'key'],
    ['sas-ip-range', 2, sub { service(@_, {}, sip => '127.0.0.0-127.0.0.9') }, 'key'],
    ['sas-http', 2, sub { service(@_, {}, spr => 'https,http') }, 1],
    ['sas-snapshot', 3, sub { my ($w, $t) = @_; service($w, $t, {}, sr => defined $t->{snapshot} ? 'bs' : 'b') }, 0],
    ['shared-key', 14, sub { key(@_, 0) }, 'key'],
    ['shared-key2', 3, sub { my ($w, $t) = @_; key($w, $t, 0, key => $w->{key2}) }, 'key'],
    ['shared-key-date', 2, sub { key(@_, 0, plain_date => 1) }, 'key'],
    ['shared-key-dates', 2, sub { key(@_, 0, both_dates => 1) }, 'key'],
    # Refused, by whoever judges.
    ['sas-other-ip', 2, sub { service(@_, {}, sip => '10.1.2.3') }, 0],
    ['sas-other-key', 2, sub { my ($w, $t) = @_; service($w, $t, { key => $w->{other_key} }) }, 0],
    ['sas-other-container', 2, sub { service(@_, { container => 'elsewhere' }) }, 0],
    ['sas-other-blob', 2, sub { service(@_, { blob => 'elsewhere' }, sr => 'b') }, 0],
    ['sas-prefix-blob', 2, sub { my ($w, $t) = @_; service($w, $t, { blob => "$t->{name}/" }, sr => 'b') }, 0],
    ['sas-expired', 2, sub { service(@_, {}, valid(-7200, -5)) }, 0],
    ['sas-not-yet', 2, sub { service(@_, {}, valid(600, 7200)) }, 0],
    ['sas-writes', 2, sub { service(@_, {}, sp => 'w') }, 0],
    ['sas-lists', 1, sub { service(@_, {}, sp => 'l') }, 0],
    ['sas-https', 2, sub { service(@_, {}, spr => 'https') }, 0],
    ['sas-policy-ended', 1, sub { service(@_, {}, si => 'ended', sp => undef, %no_times) }, 0],
    ['sas-policy-writes', 1, sub { service(@_, {}, si => 'writers', sp => undef, %no_times) }, 0],
    ['sas-policy-unknown', 1, sub { service(@_, {}, si => 'nobody', sp => undef, %no_times) }, 0],
    ['sas-no-end', 1, sub { service(@_, {}, %no_times) }, 0],
    ['sas-other-account', 2, sub { my ($w, $t) = @_; service($w, $t, { account => 'otheraccount', key => $w->{other_key} }) }, 0],
    ['sas-account-queues', 2, sub { account(@_, {}, ss => 'q') }, 0],
    ['sas-account-containers', 2, sub { account(@_, {}, srt => 'sc') }, 0],
    ['sas-account-lists', 1, sub { account(@_, {}, sp => 'l') }, 0],
    ['sas-account-expired', 1, sub { account(@_, {}, valid(-7200, -5)) }, 0],
    ['sas-account-other-key', 1, sub { my ($w, $t) = @_; account($w, $t, { key => $w->{other_key} }) }, 0],
    ['sas-tampered-end', 2, sub { spoil(service(@_, {}), qr/se=\d{4}/, 'se=2099') }, 0],
    ['sas-tampered-sp', 2, sub { spoil(service(@_, {}), qr/sp=r\b/, 'sp=rw') }, 0],
    ['sas-tampered-rsct', 2, sub { spoil(service(@_, {}), qr/&sig=/, '&rsct=text%2Fevil&sig=') }, 0],
    ['sas-tampered-sig', 2, sub { spoil(service(@_, {}), qr/sig=(.)/, sub { 'sig=' . ($1 eq 'A' ? 'B' : 'A') }) }, 0],
    ['sas-empty-sig', 1, sub { spoil(service(@_, {}), qr/sig=.*/, 'sig=') }, 0],
    ['sas-with-kind', 1, sub { spoil(service(@_, {}), qr/&sig=/, '&ss=b&srt=o&sig=') }, 0],
    ['shared-key-other-key', 2, sub { my ($w, $t) = @_; key($w, $t, 0, key => $w->{other_key}) }, 0],
    ['shared-key-other-account', 2, sub { my ($w, $t) = @_; key($w, $t, 0, name => 'otheraccount', key => $w->{other_key}) }, 0],
    ['shared-key-late', 2, sub { key(@_, -3600) }, 0],
    ['shared-key-early', 1, sub { key(@_, 3600) }, 0],
    ['shared-key-no-date', 1, sub { key(@_, 0, date => '') }, 0],
    ['shared-key-no-sig', 1, sub { key(@_, 0, instead => 'SharedKey devstoreaccount1') }, 0],
    ['shared-key-lite', 1, sub { key(@_, 0, instead => 'SharedKeyLite devstoreaccount1:bm9uZQ==') }, 0],
    ['bearer', 2, sub { header('Bearer abc.def.ghi') }, 0],
    ['basic', 1, sub { header('Basic dXNlcjpwYXNz') }, 0],
    ['two', 1, sub { +{ %{ service(@_, {}) }, %{ key(@_, 0) } } }, 0],
);

sub spoil {
    my ($credential, $pattern, $text) = @_;
    $credential->{query}[0] =~ s/$pattern/ref $text ? $text->() : $text/e or die "no $pattern to spoil\n";
    return $credential;
}

# A credential for the target: what it adds, its name, and for_cache.
sub choose {
    my ($random, $world, $target) = @_;
    my $row = $random->weighted(map { [$_->[1], $_] } @ROWS);
    return named($row->[0], $world, $target);
}

sub named {
    my ($name, $world, $target) = @_;
    my ($row) = grep { $_->[0] eq $name } @ROWS;
    return { %{ $row->[2]->($world, $target) }, name => $row->[0], for_cache => $row->[3] };
}

1;
