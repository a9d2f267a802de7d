# SPDX-License-Identifier: Apache-2.0
# Signatures by an account's key, as Azure documents them: Shared Key, service SAS, account SAS.
package Headpond::Differential::Sign;
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256_base64);
use MIME::Base64 qw(decode_base64);
use POSIX ();
use Headpond::Origin;

sub escape { my ($text) = @_; return Headpond::Origin::escape($text) =~ s{/}{%2F}gr }
sub unescape { my ($text) = @_; return $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger }

sub signature {
    my ($key, $text) = @_;
    my $mac = hmac_sha256_base64($text, decode_base64($key));
    $mac .= '=' while length($mac) % 4;
    return $mac;
}

sub http_date { my ($at) = @_; return POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime $at) }
sub iso_date { my ($at) = @_; return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $at) }

# The Authorization header's value. method, path and query as they are sent, headers [[name, value], ...], account, key.
sub shared_key {
    my (%r) = @_;
    my %value;
    for (@{ $r{headers} }) {
        my $name = lc $_->[0];
        $value{$name} = defined $value{$name} && $name =~ /^x-ms-/ ? "$value{$name},$_->[1]" : $value{$name} // $_->[1];
    }
    $value{'content-length'} = '' if ($value{'content-length'} // '') eq '0';
    $value{date} = '' if defined $value{'x-ms-date'};
    my @lines = ($r{method}, map { $value{$_} // '' } qw(content-encoding content-language content-length content-md5 content-type date
        if-modified-since if-match if-none-match if-unmodified-since range));
    push @lines, map { "$_:$value{$_}" } sort grep { /^x-ms-/ } keys %value;
    my %parameters;
    for (split /&/, $r{query} // '') {
        my ($name, $text) = split /=/, $_, 2;
        push @{ $parameters{ lc unescape($name) } }, unescape($text // '');
    }
    my $resource = "/$r{account}$r{path}" . join '', map { "\n$_:" . join ',', sort @{ $parameters{$_} } } sort keys %parameters;
    return "SharedKey $r{account}:" . signature($r{key}, join "\n", @lines, $resource);
}

sub query {
    my ($order, $p) = @_;
    return join '&', map { "$_=" . escape($p->{$_}) } grep { defined $p->{$_} } @$order, 'sig';
}

# The query of a service SAS: account, key, container, blob (when sr is b), snapshot, and its parameters by name.
sub service_sas {
    my (%o) = @_;
    my %p = (sv => '2022-11-02', sr => 'c', %{ $o{parameters} });
    my $resource = "/blob/$o{account}/$o{container}" . ($p{sr} eq 'c' ? '' : "/$o{blob}");
    my @lines = (map({ $p{$_} // '' } qw(sp st se)), $resource, map { $p{$_} // '' } qw(si sip spr sv));
    push @lines, $p{sr}, $p{sr} eq 'bs' ? $o{snapshot} : '' if $p{sv} ge '2018-11-09';
    push @lines, $p{ses} // '' if $p{sv} ge '2020-12-06';
    push @lines, map { $p{$_} // '' } qw(rscc rscd rsce rscl rsct);
    $p{sig} = signature($o{key}, join "\n", @lines);
    return query([qw(sv sr si sp st se sip spr rscc rscd rsce rscl rsct)], \%p);
}

sub account_sas {
    my (%o) = @_;
    my %p = (sv => '2022-11-02', ss => 'b', srt => 'sco', %{ $o{parameters} });
    my @lines = ($o{account}, map { $p{$_} // '' } qw(sp ss srt st se sip spr sv));
    push @lines, $p{ses} // '' if $p{sv} ge '2020-12-06';
    $p{sig} = signature($o{key}, join("\n", @lines) . "\n");
    return query([qw(sv ss srt sp st se sip spr rscc rscd rsce rscl rsct)], \%p);
}

1;
