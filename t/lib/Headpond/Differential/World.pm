# SPDX-License-Identifier: Apache-2.0
# What the requests are about: an account with containers and blobs of every kind, made by signed requests straight to the
# origin; and how a request is written out for whom it is sent to.
package Headpond::Differential::World;
use strict;
use warnings;
use Headpond::Differential::Sign;
use Headpond::Differential::Wire;
use Headpond::Origin;

my $MIB = 1 << 20;
my $VERSION = '2021-12-02';

# Deterministic bytes, other ones at each place.
my $noise = do {
    my $state = 12345;
    my $piece = join '', map { pack 'N', $state = ($state * 1103515245 + 12345) & 0xffffffff } 1 .. 65521;
    $piece x 24;
};
sub bytes { my ($size, $place) = @_; return substr $noise, $place % 65521, $size }

my @RICH = (['x-ms-meta-owner', 'ops'], ['x-ms-meta-Case', 'Kept, with commas'], ['x-ms-blob-content-type', 'application/x-parquet'],
    ['x-ms-blob-content-encoding', 'zstd'], ['x-ms-blob-content-language', 'de'],
    ['x-ms-blob-content-disposition', 'attachment; filename="x.parquet"'], ['x-ms-blob-cache-control', 'max-age=60']);

# name, size, headers, kind: sizes are where blocks and ranges change their nature, names are what URLs can hold.
my @TEMPLATES = (
    ['empty', 0, []], ['one', 1, []], ['small', 4096, \@RICH], ['block', $MIB, []], ['block-and-one', $MIB + 1, \@RICH],
    ['large', 5 * $MIB, []], ['no-md5', 70_000, [], 'blocks'], ['plain', 4096, []], ['snapped', 5000, [['x-ms-meta-now', 'no']], 'snapshot'],
    map({ [$_, 700, [], 'named'] } 'with blank', 'per%cent', "\xc3\xbcn\xc3\xafcode/\xe2\x82\xac", 'deep/er/and/deeper', 'two//slashes', 'dots...and.more.',
        '.hidden', 'a+b&c=d;e', "quote'(s)!*", 'question?mark', 'tilde~', 'UPPER/Case', '~$@:,', 'trailing/'),
);

sub new {
    my ($class, %o) = @_;
    my $self = bless { %o, wire => Headpond::Differential::Wire->new($o{address}), blobs => [], at => 0 }, $class;
    push @Headpond::Origin::secrets, $_ for $self->{key}, $self->{key2}, $self->{other_key};
    return $self;
}

# ---- Writing a request out. ----

# request: method, container, blob (encoded, as it is to be sent), query [parts], headers [[name, value]], body, sign
# {name, key, date, both_dates, spoil}. side: address, style. Returns the bytes.
sub write_out {
    my ($self, $request, $side) = @_;
    my $path = join '', map { "/$_" } grep { defined } $side->{style} eq 'path' ? $self->{account} : undef, $request->{container}, $request->{blob};
    $path = '/' if $path eq '';
    my $query = join '&', @{ $request->{query} // [] };
    my $host = $side->{style} eq 'host' ? "$self->{account}.blob.localhost:" . $side->{address} =~ s/.*://r : $side->{address};
    my @headers = @{ $request->{headers} // [] };
    push @headers, ['Content-Length', length($request->{body} // '')] if defined $request->{body} || $request->{method} =~ /^P/;
    push @headers, $self->sign($request, $path, $query, \@headers) if $request->{sign};
    my $target = $path . ($query ne '' ? "?$query" : '');
    return "$request->{method} $target HTTP/1.1\r\nHost: $host\r\n" . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n" . ($request->{body} // '');
}

sub sign {
    my ($self, $request, $path, $query, $headers) = @_;
    my $sign = $request->{sign};
    my @dates = $sign->{date} eq '' ? () : (['x-ms-date', $sign->{date}]);
    push @dates, ['Date', $sign->{date}] if $sign->{both_dates};
    @dates = (['Date', $sign->{date}]) if $sign->{plain_date};
    my $value = Headpond::Differential::Sign::shared_key(account => $self->{account}, key => $sign->{key}, method => $request->{method},
        path => $path, query => $query, headers => [@$headers, @dates]);
    $value =~ s/ \w+:/ $sign->{name}:/ if $sign->{name};
    $value =~ s/^SharedKey \w+:.*/$sign->{instead}/ if $sign->{instead};
    return (@dates, ['Authorization', $value]);
}

# What may be shown.
sub redact {
    my ($text) = @_;
    $text =~ s/\b(sig=)[^&\s]*/$1REDACTED/gi;
    $text =~ s/^(Authorization: \S+\s*[^:\s]*:?)[^\r\n]*/$1 REDACTED/gim;
    $text =~ s/\r\n\r\n(.*)\z/length $1 > 300 ? sprintf "\r\n\r\n(%d bytes)", length $1 : "\r\n\r\n$1"/se;
    return $text =~ s/([^\x20-\x7e\r\n])/sprintf '\\x%02x', ord $1/ger;
}

# Straight to the origin, signed; dies unless it is answered with what is expected.
sub order {
    my ($self, $expected, %request) = @_;
    $request{headers} = [['x-ms-version', $VERSION], @{ $request{headers} // [] }];
    $request{sign} //= { key => $self->{key}, date => Headpond::Differential::Sign::http_date(time) };
    my $reply = $self->{wire}->exchange($request{method}, $self->write_out(\%request, { address => $self->{address}, style => 'path' }));
    die "origin: $request{method} $request{container}/" . ($request{blob} // '') . ": $reply->{status} $reply->{body}" . ($reply->{broken} // '')
        if $reply->{status} !~ $expected;
    return { map { $_->[0] => $_->[1] } @{ $reply->{headers} } };
}

sub encode { my ($name) = @_; return Headpond::Origin::escape($name) }

# ---- Containers and blobs. ----

sub put_container {
    my ($self, $name, $access) = @_;
    $self->order(qr/^201$/, method => 'PUT', container => $name, query => ['restype=container'],
        headers => [$access ? ['x-ms-blob-public-access', $access] : ()]);
}

# A policy that lasts and may read, and one that has ended.
sub put_policies {
    my ($self, $name) = @_;
    my $identifier = sub {
        my ($id, $end, $permission) = @_;
        my ($start, $expiry) = map { Headpond::Differential::Sign::iso_date(time + $_) } -86400, $end;
        return "<SignedIdentifier><Id>$id</Id><AccessPolicy><Start>$start</Start><Expiry>$expiry</Expiry><Permission>$permission</Permission>"
            . '</AccessPolicy></SignedIdentifier>';
    };
    my $xml = '<?xml version="1.0" encoding="utf-8"?><SignedIdentifiers>'
        . join('', $identifier->('readers', 86400, 'r'), $identifier->('ended', -60, 'r'), $identifier->('writers', 86400, 'w')) . '</SignedIdentifiers>';
    $self->order(qr/^200$/, method => 'PUT', container => $name, query => ['restype=container', 'comp=acl'], body => $xml);
}

sub put_blob {
    my ($self, $container, $name, $size, $headers, $place) = @_;
    my $body = bytes($size, $place // ++$self->{at} * 97);
    my $reply = $self->order(qr/^201$/, method => 'PUT', container => $container, blob => encode($name), body => $body,
        headers => [['x-ms-blob-type', 'BlockBlob'], @$headers]);
    return { container => $container, name => $name, size => $size, etag => $reply->{etag}, modified => $reply->{'last-modified'} };
}

# Of two blocks: Put Block List keeps no MD5.
sub put_blocks {
    my ($self, $container, $name, $size) = @_;
    my $half = int $size / 2;
    $self->order(qr/^201$/, method => 'PUT', container => $container, blob => encode($name), query => ['comp=block', 'blockid=' . ($_ ? 'Qg%3D%3D' : 'QQ%3D%3D')],
        body => bytes($_ ? $size - $half : $half, $_ * 1000)) for 0, 1;
    my $reply = $self->order(qr/^201$/, method => 'PUT', container => $container, blob => encode($name), query => ['comp=blocklist'],
        body => '<?xml version="1.0" encoding="utf-8"?><BlockList><Latest>QQ==</Latest><Latest>Qg==</Latest></BlockList>');
    return { container => $container, name => $name, size => $size, etag => $reply->{etag}, modified => $reply->{'last-modified'} };
}

# From a template, under its own name or another.
sub make {
    my ($self, $container, $template, $name) = @_;
    my ($own, $size, $headers, $kind) = @$template;
    $name //= $own;
    $kind //= '';
    return $self->put_blocks($container, $name, $size) if $kind eq 'blocks';
    my $blob = $self->put_blob($container, $name, $size, $headers);
    if ($kind eq 'snapshot') {
        my $snapshot = $self->order(qr/^201$/, method => 'PUT', container => $container, blob => encode($name), query => ['comp=snapshot'])->{'x-ms-snapshot'};
        $blob = { %{ $self->put_blob($container, $name, $size + 11, [['x-ms-meta-now', 'yes']]) }, snapshot => $snapshot };
    }
    return { %$blob, kind => $kind };
}

sub remove {
    my ($self, $container, $name) = @_;
    $self->order(qr/^(202|404)$/, method => 'DELETE', container => $container, blob => encode($name), headers => [['x-ms-delete-snapshots', 'include']]);
}

# The containers that are only read, those that are written, and their blobs.
sub populate {
    my ($self) = @_;
    $self->put_container('private');
    $self->put_container('public-blobs', 'blob');
    $self->put_container('public', 'container');
    $self->put_container($_) for qw(twin-a twin-b);
    $self->put_policies('private');
    for my $container (qw(private public-blobs public)) {
        push @{ $self->{blobs} }, map { $self->make($container, $_) } @TEMPLATES;
    }
}

sub small_templates { return grep { $_->[1] <= 5000 && ($_->[3] // '') ne 'named' } @TEMPLATES }
sub other_templates { return grep { $_->[1] > 5000 && $_->[1] < 2 * $MIB } @TEMPLATES }

1;
