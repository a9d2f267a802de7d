# SPDX-License-Identifier: Apache-2.0
# Writes, in pairs: the same blob in two containers, one written to directly and one through headpond, which has it in its cache.
# The answers must agree but for the names and times of what was made, and so must the blobs afterwards, read directly and
# through headpond.
package Headpond::Differential::Writes;
use strict;
use warnings;
use Digest::MD5 qw(md5_base64);
use Headpond::Differential::Credentials;
use Headpond::Differential::Sign;
use Headpond::Differential::World;

my ($DIRECT, $THROUGH) = qw(twin-a twin-b);

# What each twin has of its own.
my %TWIN = map { $_ => 1 } qw(etag last-modified x-ms-creation-time x-ms-snapshot x-ms-copy-id x-ms-copy-source x-ms-copy-completion-time x-ms-access-tier-change-time);

# name, what is sent: method, query, headers, body; `twin` is the blob in its container.
my @OPERATIONS = (
    ['put', sub { +{ method => 'PUT', headers => [['x-ms-blob-type', 'BlockBlob'], ['x-ms-meta-new', 'yes']], body => 'hello' } }],
    ['put-empty', sub { +{ method => 'PUT', headers => [['x-ms-blob-type', 'BlockBlob']], body => '' } }],
    ['put-large', sub { +{ method => 'PUT', headers => [['x-ms-blob-type', 'BlockBlob']], body => Headpond::Differential::World::bytes(1_100_000, 5) } }],
    ['put-md5', sub { +{ method => 'PUT', headers => [['x-ms-blob-type', 'BlockBlob'], ['Content-MD5', md5_base64('hello') . '==']], body => 'hello' } }],
    ['put-bad-md5', sub { +{ method => 'PUT', headers => [['x-ms-blob-type', 'BlockBlob'], ['Content-MD5', md5_base64('other') . '==']], body => 'hello' } }],
    ['put-new-only', sub { +{ method => 'PUT', headers => [['x-ms-blob-type', 'BlockBlob'], ['If-None-Match', '*']], body => 'hello' } }],
    ['put-if-match', sub { +{ method => 'PUT', headers => [['x-ms-blob-type', 'BlockBlob'], ['If-Match', $_[0]{etag}]], body => 'hello' } }],
    ['put-if-other', sub { +{ method => 'PUT', headers => [['x-ms-blob-type', 'BlockBlob'], ['If-Match', '"0x8DEADBEEF000000"']], body => 'hello' } }],
    ['metadata', sub { +{ method => 'PUT', query => ['comp=metadata'], headers => [['x-ms-meta-a', 'b']] } }],
    ['properties', sub { +{ method => 'PUT', query => ['comp=properties'],
        headers => [['x-ms-blob-content-type', 'text/x-new'], ['x-ms-blob-cache-control', 'no-cache']] } }],
    ['tier', sub { +{ method => 'PUT', query => ['comp=tier'], headers => [['x-ms-access-tier', 'Cool']] } }],
    ['snapshot', sub { +{ method => 'PUT', query => ['comp=snapshot'] } }],
    ['block', sub { +{ method => 'PUT', query => ['comp=block', 'blockid=QUFB'], body => 'x' x 1000 } }],
    ['blocklist-bad', sub { +{ method => 'PUT', query => ['comp=blocklist'],
        body => '<?xml version="1.0" encoding="utf-8"?><BlockList><Latest>WlpaWg==</Latest></BlockList>' } }],
    ['delete', sub { +{ method => 'DELETE', headers => [['x-ms-delete-snapshots', 'include']] } }],
    ['delete-plain', sub { +{ method => 'DELETE' } }],
    ['delete-if-other', sub { +{ method => 'DELETE', headers => [['If-Match', '"0x8DEADBEEF000000"']] } }],
    ['delete-missing', sub { +{ method => 'DELETE', missing => 1 } }],
    ['metadata-missing', sub { +{ method => 'PUT', query => ['comp=metadata'], missing => 1 } }],
);

my @CREDENTIALS = ([8, 'sas-writes-all'], [4, 'shared-key'], [2, 'sas-container'], [1, 'sas-expired'], [1, 'anonymous'], [1, 'shared-key-other-key']);

sub credential {
    my ($world, $name, $container, $blob, $serial) = @_;
    my $target = { container => $container, name => $blob, serial => $serial };
    return Headpond::Differential::Credentials::service($world, $target, {}, sp => 'rcwd') if $name eq 'sas-writes-all';
    return Headpond::Differential::Credentials::named($name, $world, $target);
}

sub request_for {
    my ($world, $operation, $who, $twin, $serial) = @_;
    my $request = $operation->[1]->($twin);
    my $name = $twin->{name} . ($request->{missing} ? '-missing' : '');
    my $credential = credential($world, $who, $twin->{container}, $name, $serial);
    return { %$request, container => $twin->{container}, blob => Headpond::Differential::World::encode($name), sign => $credential->{sign},
        query => [@{ $request->{query} // [] }, @{ $credential->{query} // [] }],
        headers => [['x-ms-version', '2021-12-02'], ['x-ms-client-request-id', "case-$serial"], @{ $request->{headers} // [] }, @{ $credential->{headers} // [] }] };
}

# What is left once the twins' own has been masked: that a header is there, still counts.
sub masked {
    my ($reply) = @_;
    my $copy = { %$reply, headers => [map { [$_->[0], $TWIN{ $_->[0] } ? 'its own' : $_->[1]] } @{ $reply->{headers} }] };
    return $copy;
}

sub run {
    my ($self, $pond, $random, $number) = @_;
    my $world = $self->{world};
    my $operation = $random->pick(@OPERATIONS);
    my $who = $random->weighted(@CREDENTIALS);
    my $name = "write/$number";
    my ($a, $b) = map { $world->put_blob($_, $name, 3000, [['x-ms-meta-old', 'yes']], $number) } $DIRECT, $THROUGH;
    my ($to_a, $to_b) = map { request_for($world, $operation, $who, $_, $number % 50_000) } $a, $b;
    my $read = sub {
        my ($container, $method) = @_;
        my $sas = Headpond::Differential::Credentials::named('sas-container', $world, { container => $container, name => $name, serial => $number % 50_000 });
        return { method => $method, container => $container, blob => $name, query => $sas->{query}, headers => [['x-ms-version', '2021-12-02']] };
    };
    my $case = { number => $number, request => $to_a, with => { write => 1, $operation->[0] => 1 },
        credential => $who, for_credential => '', pond => $pond->{name}, version => '2021-12-02' };
    $self->send_through($pond, $read->($THROUGH, $_), $pond->{style}) for qw(GET GET HEAD);

    my ($direct, $bytes) = $self->send_direct($to_a, $pond->{style});
    $case->{text} = $bytes;
    my $through = $self->send_through($pond, $to_b, $pond->{style});
    $self->judge($case, 'write', masked($direct), masked($through));

    for my $method (qw(GET HEAD)) {
        my ($reply_a) = $self->send_direct($read->($DIRECT, $method), $pond->{style});
        my ($reply_b) = $self->send_direct($read->($THROUGH, $method), $pond->{style});
        my $cached = $self->send_through($pond, $read->($THROUGH, $method), $pond->{style});
        my $after = { %$case, request => $read->($THROUGH, $method) };
        $self->judge($after, "$method: both blobs after the write", masked($reply_a), masked($reply_b));
        $self->judge($after, "$method: after the write", $reply_b, $cached);
    }
    $world->remove($_, $name) for $DIRECT, $THROUGH;
}

1;
