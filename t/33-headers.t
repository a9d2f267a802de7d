# SPDX-License-Identifier: Apache-2.0
# What a cached reply says of the blob: the origin's headers, fresh ids, and answers without a body from the record.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
my $blob = $origin->blob('/acct/data/rich', size => 3_000_000, seed => 1, md5 => 'auto', type => 'application/x-parquet',
    'meta-owner' => 'ops', 'meta-Empty' => '1', 'header-Content-Encoding' => 'zstd', 'header-Content-Language' => 'de',
    'header-Content-Disposition' => 'attachment; filename=x', 'header-Cache-Control' => 'max-age=60',
    'header-x-ms-version-id' => '2024-01-01T00:00:00.0000000Z', 'header-x-ms-copy-id' => 'c0', 'header-x-ms-copy-status' => 'success',
    'header-x-ms-tag-count' => '3', 'header-x-ms-legal-hold' => 'false');
$origin->blob('/acct/data/empty', size => 0, seed => 1, md5 => 'auto');

my $pond = Headpond->start(origin => $origin);
$pond->get('/acct/data/rich');
$pond->get('/acct/data/empty');
$pond->head('/acct/data/rich');
$pond->settle;

# Headers that belong to the reply, not to the blob.
my %own = map { $_ => 1 } qw(date x-ms-request-id x-ms-version server connection age via cache-status keep-alive x-ms-client-request-id
    x-ms-access-tier-change-time);

sub same_headers {
    my ($what, $cached, $direct) = @_;
    for my $name (sort keys %{ $direct->{headers} }) {
        is($cached->{headers}{$name}, $direct->{headers}{$name}, "$what: $name") unless $own{$name};
    }
    my @more = grep { !$own{$_} && !exists $direct->{headers}{$_} } sort keys %{ $cached->{headers} };
    is("@more", '', "$what: no header that the origin has not");
}

sub direct {
    my ($path, %r) = @_;
    return Headpond::Http::request(url => "http://$origin->{address}$path", %r,
        headers => ['x-ms-version: 2023-11-03', @{ $r{headers} // [] }]);
}

sub hit {
    my ($path, %r) = @_;
    return $pond->request($path, %r, headers => ['x-ms-version: 2023-11-03', @{ $r{headers} // [] }]);
}

for my $proto (Headpond->protocols) {
    subtest "$proto: a hit's headers" => sub {
        my @cases = (['GET', {}], ['ranged GET', { range => 'bytes=5-104' }], ['HEAD', { method => 'HEAD' }],
            ['GET of an open range', { range => 'bytes=2999999-' }]);
        my @direct = map { direct('/acct/data/rich', %{ $_->[1] }) } @cases;
        $origin->reset_stats;
        for my $i (0 .. $#cases) {
            my ($what, $r) = @{ $cases[$i] };
            my $cached = hit('/acct/data/rich', proto => $proto, %$r);
            is($cached->{status}, $direct[$i]{status}, "$what: status");
            same_headers($what, $cached, $direct[$i]);
            ok($cached->{body} eq $direct[$i]{body}, "$what: body");
            like($cached->{headers}{'cache-status'}, qr/(^|, )headpond; hit/, "$what: Cache-Status");
            like($cached->{headers}{via}, qr/headpond|^[\d.]+ \S+/, "$what: Via");
            like($cached->{headers}{age}, qr/^\d+$/, "$what: Age");
        }
        is($origin->stats->{requests}, 0, 'the origin was not asked');
    };
}

subtest 'MD5' => sub {
    is(hit('/acct/data/rich')->{headers}{'content-md5'}, $blob->{md5}, 'a whole GET says Content-MD5');
    my $ranged = hit('/acct/data/rich', range => 'bytes=0-9');
    is($ranged->{headers}{'content-md5'}, undef, 'a ranged GET does not');
    is($ranged->{headers}{'x-ms-blob-content-md5'}, $blob->{md5}, 'it says x-ms-blob-content-md5');
};

subtest 'ids belong to the reply' => sub {
    my @replies = map { hit('/acct/data/rich', range => 'bytes=0-0', headers => ["x-ms-client-request-id: mine-$_"]) } 1, 2;
    is($replies[$_ - 1]{headers}{'x-ms-client-request-id'}, "mine-$_", "client id $_ is echoed") for 1, 2;
    isnt($replies[0]{headers}{'x-ms-request-id'}, $replies[1]{headers}{'x-ms-request-id'}, 'request ids differ');
    my $without = hit('/acct/data/rich', range => 'bytes=0-0');
    is($without->{headers}{'x-ms-client-request-id'}, undef, 'no client id where none was sent');
    my $log = $origin->log('/acct/data/rich');
};

subtest 'x-ms-range wins over Range' => sub {
    my $reply = hit('/acct/data/rich', range => 'bytes=0-0', headers => ['x-ms-range: bytes=10-19']);
    is($reply->{headers}{'content-range'}, 'bytes 10-19/3000000', 'Content-Range');
};

subtest 'ranges at the edges' => sub {
    my @cases = (
        ['bytes=0-0', 206, 'bytes 0-0/3000000'], ['bytes=2999999-2999999', 206, 'bytes 2999999-2999999/3000000'],
        ['bytes=2999990-4000000', 206, 'bytes 2999990-2999999/3000000'], ['bytes=3000000-', 416, 'bytes */3000000'],
        ['bytes=3000000-3000001', 416, 'bytes */3000000'], ['bytes=0-9,20-29', 200, undef],
        ['bytes=99999999999999999999-', qr/^(416|200)$/, undef],
    );
    $origin->reset_stats;
    for (@cases) {
        my ($range, $status, $content_range) = @$_;
        my $reply = hit('/acct/data/rich', range => $range);
        ref $status ? like($reply->{status}, $status, $range) : is($reply->{status}, $status, $range);
        is($reply->{headers}{'content-range'}, $content_range, "$range: Content-Range") if !ref $status;
        is(length $reply->{body}, $reply->{headers}{'content-length'}, "$range: Content-Length");
        is($reply->{headers}{'x-ms-error-code'}, 'InvalidRange', "$range: error code") if $reply->{status} == 416;
        like($reply->{body}, qr{<Code>InvalidRange</Code>}, "$range: XML") if $reply->{status} == 416;
    }
    my $empty = hit('/acct/data/empty', range => 'bytes=0-');
    is($empty->{status}, 416, 'empty blob: 416');
    is($empty->{headers}{'content-range'}, 'bytes */0', 'empty blob: Content-Range');
    is(hit('/acct/data/empty')->{headers}{'content-length'}, 0, 'empty blob: Content-Length 0');
    # Past the end the blob may have grown; nothing else is a question.
    cmp_ok($origin->stats->{requests}, '<=', 5, 'the origin was asked once for each range past the end, and of the empty blob without one');
    is($origin->data_requests, 0, 'and not for data');
};

subtest 'a range of another shape is the origin\'s affair' => sub {
    for ('bytes=-5', 'bytes=5-2', 'lines=1-2', 'bytes=x-', 'bytes= 0-5', '') {
        my @range = $_ eq '' ? (headers => ['x-ms-range;']) : (range => $_); # curl's way to say an empty one
        my $reply = hit('/acct/data/rich', @range);
        is($reply->{status}, direct('/acct/data/rich', @range)->{status}, "'$_': status as the origin gives");
        like($reply->{headers}{'cache-status'}, qr/headpond; fwd=bypass/, "'$_': Cache-Status");
    }
};

subtest 'versions' => sub {
    for my $method (qw(GET HEAD)) {
        my $reply = $pond->request('/acct/data/nothing', method => $method, headers => ['x-ms-version: 2020-10-02']);
        is($reply->{headers}{'x-ms-version'}, '2020-10-02', "$method: a refusal is in the client\'s version");
    }
    my $odd = $pond->get('/acct/data/rich', headers => ['x-ms-version: latest']);
    like($odd->{headers}{'cache-status'}, qr/headpond; fwd=bypass; detail="version"/, 'what is no version is the origin\'s to refuse');
};

subtest 'conditions' => sub {
    my $etag = $blob->{etag};
    my $bare = $etag =~ tr/"//dr;
    my $then = 'Sun, 06 Nov 1994 08:49:37 GMT';
    my $late = 'Sat, 06 Nov 2094 08:49:37 GMT';
    my @cases = (
        [["If-None-Match: $etag"], 304], [["If-None-Match: $bare"], 304], [["If-None-Match: \"x\", $etag"], 304],
        [["If-Match: $etag"], 200], [["If-Match: $bare"], 200], [['If-Match: *'], 200],
        [["If-Modified-Since: $late"], 304], [["If-Modified-Since: $then"], 200],
        [["If-Unmodified-Since: $then"], 412], [["If-Unmodified-Since: $late"], 200], [["If-Unmodified-Since: $blob->{last_modified}"], 200],
        [["If-Modified-Since: $blob->{last_modified}"], 304],
        [["If-Match: $etag", "If-None-Match: $etag"], 304], [["If-Match: $etag", "If-Unmodified-Since: $then"], 412],
        [["If-None-Match: $etag", "If-Modified-Since: $then"], 200],
    );
    $origin->reset_stats;
    for (@cases) {
        my ($headers, $status) = @$_;
        for my $method (qw(GET HEAD)) {
            my $reply = hit('/acct/data/rich', headers => $headers, method => $method);
            my $what = "$method @$headers";
            is($reply->{status}, $status, $what);
            next if $status == 200;
            is($reply->{headers}{'x-ms-error-code'}, 'ConditionNotMet', "$what: error code");
            is($reply->{headers}{etag}, $etag, "$what: ETag") if $status == 304;
            $status == 412 && $method eq 'GET' ? like($reply->{body}, qr{<Code>ConditionNotMet</Code>}, "$what: XML")
                : is($reply->{body}, '', "$what: no body");
        }
    }
    # A 412, and a HEAD with If-Match, may ask whether the record is still the truth; nothing else may.
    my $doubts = 2 * grep({ $_->[1] == 412 || @{ $_->[0] } > 1 } @cases) + grep({ "@{ $_->[0] }" =~ /If-Match/ && @{ $_->[0] } == 1 } @cases);
    cmp_ok($origin->stats->{requests}, '<=', $doubts, 'the origin was not asked for more than a probe');
    is($origin->data_requests, 0, 'nor for data');
    $origin->reset_stats;
    my $other = hit('/acct/data/rich', headers => ['If-Match: "0xDEAD"']);
    is($other->{status}, 412, 'a strange ETag in If-Match: 412');
    cmp_ok($origin->stats->{requests}, '<=', 1, 'after at most one question to the origin');
    is($origin->data_requests, 0, 'which asked for no data');
};

subtest 'HEAD first, GET later' => sub {
    $origin->blob('/acct/data/head-first', size => 1234, seed => 8);
    my $head = hit('/acct/data/head-first', method => 'HEAD');
    is($head->{status}, 200, 'HEAD');
    is($head->{headers}{'content-length'}, 1234, 'with the length');
    is($head->{headers}{'x-ms-access-tier'}, direct('/acct/data/head-first', method => 'HEAD')->{headers}{'x-ms-access-tier'}, 'and the tier');
    is(length hit('/acct/data/head-first')->{body}, 1234, 'GET');
};

subtest 'what the origin does not have' => sub {
    for my $method (qw(GET HEAD)) {
        my $reply = hit('/acct/data/nothing', method => $method);
        is($reply->{status}, 404, "$method: 404");
        is($reply->{headers}{'x-ms-error-code'}, 'BlobNotFound', "$method: the origin's code");
        $method eq 'GET' ? like($reply->{body}, qr{<Code>BlobNotFound}, 'XML') : is($reply->{body}, '', 'HEAD: no body');
    }
};

subtest 'a read that says it is a write' => sub {
    $origin->reset_stats;
    for my $method (qw(GET HEAD)) {
        my $reply = hit('/acct/data/rich?comp=metadata', method => $method, headers => ['X-HTTP-Method-Override: DELETE']);
        is($reply->{status}, 400, "$method: 400");
        is($reply->{headers}{'x-ms-error-code'}, 'InvalidHeaderValue', "$method: the code");
    }
    is($origin->stats->{requests}, 0, 'the origin never saw it');
};

$pond->stop;
done_testing();
