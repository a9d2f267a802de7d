# SPDX-License-Identifier: Apache-2.0
# What headpond answers otherwise than the origin does, knowingly, and what a particular origin makes differ. Each row: a
# name, the origin it is for (both, azurite), the reason, and what it covers: given the case, the field, the direct answer's value
# and headpond's, and both replies.
package Headpond::Differential::Exceptions;
use strict;
use warnings;
use Headpond::Differential::Compare;

# Headers that came with a version of the service.
my %SINCE = ('accept-ranges' => '2011-08-18', 'content-disposition' => '2013-08-15', 'x-ms-lease-status' => '2011-08-18', 'x-ms-lease-state' => '2012-02-12',
    'x-ms-server-encrypted' => '2015-12-11', 'x-ms-blob-content-md5' => '2016-05-31', 'x-ms-access-tier' => '2017-04-17',
    'x-ms-access-tier-inferred' => '2017-04-17', 'x-ms-creation-time' => '2017-11-09', 'x-ms-error-code' => '2017-07-29');

sub with { my ($case, @names) = @_; return grep { $case->{with}{$_} } @names }

sub older { my ($case, $since) = @_; return ($case->{version} || '2009-09-19') lt $since }

# What a credential is refused with, whichever fault of the request is told first.
my %REFUSAL = map { $_ => 1 } qw(AuthenticationFailed AuthorizationPermissionMismatch AuthorizationProtocolMismatch AuthorizationSourceIPMismatch
    AuthorizationServiceMismatch AuthorizationResourceTypeMismatch InvalidAuthenticationInfo NoAuthenticationInformation ResourceNotFound);

sub code { my ($reply) = @_; return Headpond::Differential::Compare::code($reply, Headpond::Differential::Compare::headers($reply)) }

# Both refuse, for one reason or the other.
sub both_refuse { my ($direct, $through) = @_; return $direct->{status} >= 400 && $direct->{status} < 500 && $through->{status} >= 400 && $through->{status} < 500 }

our @ROWS = (
    ['version-echo', 'both', 'without an x-ms-version that looks like one headpond answers in its own', sub {
        my ($case, $field) = @_;
        return $field eq 'header:x-ms-version' && $case->{version} eq '';
    }],
    ['newer-headers', 'both', 'what headpond composes has the headers of the version that it asks in, also for who asks in an older one', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $a->{status} == $b->{status} && $direct eq '' && older($case, '2017-07-29') if $field eq 'code';
        my ($name) = $field =~ /^header:(.*)/ or return 0;
        return $direct eq '(none)' && exists $SINCE{$name} && older($case, $SINCE{$name});
    }],
    ['quoted-etag', 'both', 'ETags have had quotes since 2011-08-18; without a version a request is older', sub {
        my ($case, $field, $direct, $through) = @_;
        return $field eq 'header:etag' && older($case, '2011-08-18') && "\"$direct\"" eq $through;
    }],
    ['challenge', 'both', 'since 2019-12-12 the anonymous are refused with 401, before with 404; headpond asks in its own version', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $case->{credential} eq 'anonymous' && older($case, '2019-12-12') && $a->{status} == 404 && $b->{status} == 401;
    }],
    ['unknown-version', 'both', 'a version that looks like one is not refused by headpond, who does not know them all', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'unknown-version') && $a->{status} == 400 && code($a) =~ /^(InvalidHeaderValue)?$/;
    }],
    ['not-modified-caching', 'both', 'a 304 has the Cache-Control that a 200 would have (RFC 9110, 15.4.5)', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $field eq 'header:cache-control' && $a->{status} == 304 && $b->{status} == 304 && $direct eq '(none)';
    }],
    ['two-faults', 'both', 'of two faults the one of the credential is told first where headpond judges it', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        my $judged = $case->{pond} =~ /^key/ || $case->{credential} eq 'sas-https';
        return both_refuse($a, $b) && $judged && $REFUSAL{ code($b) } && ($case->{for_credential} eq '0' || with($case, 'container', 'account'));
    }],
    ['odd-url', 'both', 'headpond refuses names that lead out of their container and malformed percent-encodings, unseen by the origin', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'odd-path', 'bad-escape') && $b->{status} == 400 && code($b) eq 'InvalidUri';
    }],
    ['azurite-version', 'azurite', 'says its own version, whatever it was asked in', sub {
        my ($case, $field) = @_;
        return $field eq 'header:x-ms-version';
    }],
    ['azurite-client-id', 'azurite', 'makes up an x-ms-client-request-id where none was sent, and echoes none with an error', sub {
        my ($case, $field, $direct, $through, $a) = @_;
        my $sent = grep { $_->[0] eq 'x-ms-client-request-id' } @{ $case->{request}{headers} };
        return $field eq 'header:x-ms-client-request-id' && ($sent ? $a->{status} >= 300 && $direct eq '(none)' : $through eq '(none)');
    }],
    ['azurite-blob-md5', 'azurite', 'says x-ms-blob-content-md5 on whole reads, too', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $field eq 'header:x-ms-blob-content-md5' && $a->{status} == 200 && $through eq '(none)';
    }],
    ['azurite-computed-md5', 'azurite', 'says the MD5 of a blob that has none, on whole reads', sub {
        my ($case, $field, $direct, $through, $a) = @_;
        return $field eq 'header:content-md5' && $through eq '(none)' && !grep { $_->[0] eq 'x-ms-blob-content-md5' } @{ $a->{headers} };
    }],
    ['azurite-head-error', 'azurite', 'the error of a HEAD has no Content-Type', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $field eq 'header:content-type' && $case->{request}{method} eq 'HEAD' && $a->{status} >= 400 && $direct eq '(none)';
    }],
    ['azurite-etag-list', 'azurite', 'cuts a list of ETags at every comma and keeps the blanks', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'condition-comma', 'condition-list') && grep({ $_->{status} =~ /^(304|412)$/ } $a, $b);
    }],
    ['azurite-dates', 'azurite', 'does not look at the date of a Shared Key, and signs Date beside x-ms-date', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $b->{status} == 403 && $case->{credential} =~ /^shared-key-(late|early|no-date)$/ || $a->{status} == 403 && $case->{credential} eq 'shared-key-dates';
    }],
    ['azurite-joined', 'azurite', 'takes several conditions of one name for signed together; headpond and most clients sign the first', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'condition-list') && $case->{credential} =~ /^shared-key/ && $a->{status} == 403;
    }],
    ['azurite-sas-snapshot', 'azurite', 'takes snapshot= for signed where it is not', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'snapshot', 'no-snapshot', 'bad-snapshot') && $case->{credential} =~ /^sas-/ && $a->{status} == 403;
    }],
    ['azurite-304', 'azurite', 'a 304 has a Content-Type, but neither ETag nor Last-Modified', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $a->{status} == 304 && $b->{status} == 304 && $field =~ /^header:(content-type|etag|last-modified)$/;
    }],
    ['azurite-public', 'azurite', 'does not look at the credential where the container is public', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        my $bad = $case->{for_credential} eq '0' || with($case, 'container');
        return ($case->{request}{container} // '') =~ /^public/ && $bad && $b->{status} =~ /^(403|400)$/ && $REFUSAL{ code($b) };
    }],
    ['azurite-ip', 'azurite', 'does not look at sip', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $case->{credential} eq 'sas-other-ip' && code($b) eq 'AuthorizationSourceIPMismatch';
    }],
    ['azurite-suffix-range', 'azurite', 'answers a suffix range, and others that are none, with a length that is not a number', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'suffix-range') || with($case, 'odd-range') && ($field eq 'broken' || $b->{status} == 500);
    }],
    ['azurite-range-end', 'azurite', 'answers a range that begins at or behind the end with 206 or 200', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'range') && $a->{status} =~ /^20[06]$/ && $b->{status} == 416;
    }],
    ['azurite-missing-match', 'azurite', 'looks at If-Match and If-None-Match: * where there is no blob', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return 0 if $b->{status} != 404;
        return with($case, 'if-match') && $a->{status} == 412 || with($case, 'if-none-match') && code($a) =~ /^(UnsatisfiableCondition)?$/ && $a->{status} == 400;
    }],
    ['azurite-weak', 'azurite', 'does not compare weak ETags weakly in If-None-Match', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'condition-weak') && with($case, 'if-none-match') && $a->{status} =~ /^(20[06]|416)$/ && $b->{status} == 304;
    }],
    ['azurite-range-checksum', 'azurite', 'knows no bound on ranges with a checksum, and no CRC-64', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return 1 if with($case, 'range-md5', 'range-crc64') && $a->{status} =~ /^20[06]$/ && $b->{status} == 400 && code($b) eq 'InvalidHeaderValue';
        return with($case, 'range-crc64') && $field eq 'header:x-ms-content-crc64' && $direct eq '(none)';
    }],
    ['azurite-odd-path', 'azurite', 'fails with 500 where a path is no UTF-8', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return with($case, 'odd-path') && $a->{status} == 500 && $b->{status} >= 400;
    }],
    ['azurite-refusal', 'azurite', 'has one code and no detail for what Azure refuses in several ways', sub {
        my ($case, $field, $direct, $through, $a, $b) = @_;
        return $a->{status} == 403 && $b->{status} == 403 && code($a) =~ /^Auth/ && code($b) =~ /^Auth/;
    }],
);

# The name of the exception that covers it, or nothing.
sub covers {
    my ($origin, $case, @difference) = @_;
    for (@ROWS) {
        my ($name, $for, $reason, $code) = @$_;
        return $name if ($for eq 'both' || $for eq $origin) && $code->($case, @difference);
    }
    return;
}

1;
