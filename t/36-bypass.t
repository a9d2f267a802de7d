# SPDX-License-Identifier: Apache-2.0
# What is not cached streams through as it is (I9): every method, query, header and body, up and down, in bounded memory.
use strict;
use warnings;
use Digest::MD5 qw(md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::H2;
use Test::More;

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
my $sas = $origin->sas('/acct/data', sp => 'rcwdl');
my $pond = Headpond->start(origin => $origin, config => { memory => '96MiB' });

# A file of random bytes, cheap to make: one random MiB, numbered copies of it.
my $folder = Headpond->folder;
sub make_file {
    my ($size) = @_;
    my $path = "$folder/$size";
    return $path if -e $path;
    my $piece = join '', map { pack 'N', int rand 2**32 } 1 .. $MIB / 4;
    open my $file, '>', $path or die;
    for (my $left = $size; $left > 0; $left -= $MIB) {
        substr $piece, 0, 4, pack 'N', $left;
        print $file substr $piece, 0, $left < $MIB ? $left : $MIB;
    }
    close $file;
    return $path;
}

sub md5_of {
    my ($path) = @_;
    open my $file, '<', $path or die;
    return Digest::MD5->new->addfile($file)->b64digest . '==';
}

for my $proto (Headpond->protocols) {
    subtest "$proto: uploads" => sub {
        for my $size (0, 1, 65536, 5 * $MIB + 3) {
            for my $chunked (0, 1) {
                my $path = "/acct/data/up-$proto-$size-$chunked";
                my $reply = $pond->put($path, proto => $proto, sas => $sas, file => make_file($size), chunked => $chunked,
                    headers => ['x-ms-blob-type: BlockBlob', 'x-ms-meta-who: me']);
                my $what = "$size bytes" . ($chunked ? ', no length' : '');
                is($reply->{status}, 201, $what) or diag($reply->{text});
                my $stored = eval { $origin->describe($path) } // {};
                is($stored->{size}, $size, "$what: size at the origin");
                is($stored->{md5}, md5_of(make_file($size)), "$what: bytes at the origin") if $stored->{md5};
                like($reply->{headers}{'cache-status'}, qr/headpond; fwd=bypass/, "$what: Cache-Status");
            }
        }
    };
}

subtest 'a large upload in bounded memory' => sub {
    my $size = 256 * $MIB;
    my $job = $pond->begin('/acct/data/large', method => 'PUT', sas => $sas, file => make_file($size), headers => ['x-ms-blob-type: BlockBlob']);
    my $most = 0;
    Headpond::Process::wait_until(sub {
        my $now = $pond->metric('headpond_memory_bytes');
        $most = $now if $now > $most;
        return !$job->{process}->alive;
    }, 60);
    is($job->finish->{status}, 201, 'written');
    is($origin->describe('/acct/data/large')->{size}, $size, 'whole');
    cmp_ok($most, '<', 96 * $MIB, "never more than the bound: $most bytes");
};

subtest 'a large download in bounded memory, past the store' => sub {
    my $storeless = Headpond->start(origin => $origin, config => { memory => '64MiB', store => undef });
    $origin->blob('/acct/data/down', size => 512 * $MIB, seed => 7);
    my $got = $storeless->client('one', blob => 'down:' . 512 * $MIB . ':7');
    is($got->{bytes}, 512 * $MIB, 'whole') or diag(explain($got));
    cmp_ok($storeless->metric('headpond_memory_bytes'), '<', 64 * $MIB, 'memory within its bound');
    $storeless->stop;
};

subtest 'methods, queries and headers as they were' => sub {
    my @cases = (
        ['GET', '/acct/data?restype=container&comp=list&prefix=a%20b&x=%C3%BC&%2b=1', {}],
        ['GET', '/acct/data/with%20space%2Fand%2fmore?comp=metadata', {}],
        ['HEAD', '/acct/data?restype=container', {}],
        ['PUT', '/acct/data/blocks?comp=block&blockid=QUJD%3D', { body => 'A' x 1000 }],
        ['POST', '/acct/data?restype=container&comp=batch', { body => "--x\r\n\r\n--x--", headers => ['Content-Type: multipart/mixed; boundary=x'] }],
        ['PUT', '/acct/data/props?comp=metadata', { body => '', headers => ['x-ms-meta-a: b'] }],
        ['DELETE', '/acct/data/props?snapshot=2020-01-01T00%3A00%3A00Z', {}],
    );
    for (@cases) {
        my ($method, $target, $r) = @$_;
        $origin->reset_stats;
        my $through = $pond->request($target, method => $method, sas => $sas, %$r);
        my ($seen) = grep { $_->{method} eq $method } @{ $origin->log };
        is($seen->{target}, "$target&$sas", "$method $target: target") if $target =~ /\?/;
        is($through->{status}, $seen->{status}, "$method $target: status");
        like($through->{headers}{'cache-status'}, qr/headpond; fwd=bypass/, "$method $target: Cache-Status");
    }
};

subtest 'no header of ours reaches the origin, none of the client\'s is lost' => sub {
    $origin->reset_stats;
    $pond->put('/acct/data/headers', sas => $sas, body => 'x', headers => ['x-ms-blob-type: BlockBlob', 'x-ms-version: 2021-08-06',
        'x-odd-Header: 1', 'Connection: close, x-hop', 'x-hop: 1', 'TE: trailers', 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']);
    my ($seen) = @{ $origin->log('/acct/data/headers') };
    my %has = map { lc $_ => 1 } @{ $seen->{headers} };
    ok($has{$_}, "$_ passed") for qw(x-ms-blob-type x-odd-header traceparent);
    ok(!$has{$_}, "$_ did not") for qw(x-hop te);
    is($seen->{x_ms_version}, '2021-08-06', 'the client\'s version');
};

subtest 'Expect: 100-continue' => sub {
    my $head = "PUT /acct/data/expect?$sas HTTP/1.1\r\nHost: x\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 5\r\n";
    my $socket = $pond->connect;
    syswrite $socket, "${head}Expect: 100-continue\r\nConnection: close\r\n\r\n";
    my ($interim) = Headpond::Http::read_all($socket, 10, sub { $_[0] =~ /\r\n\r\n/ });
    like($interim, qr{^HTTP/1\.1 100 }, 'told to go on');
    syswrite $socket, 'hello';
    my ($final) = Headpond::Http::read_all($socket, 10);
    is(Headpond::Http::parse($final)->{status}, 201, 'then answered');
    is($origin->describe('/acct/data/expect')->{size}, 5, 'and written');
    my ($refused) = $pond->raw("${head}Expect: 200-ok\r\nConnection: close\r\n\r\nhello");
    is(Headpond::Http::parse($refused)->{status}, 417, 'another expectation is refused');
};

subtest 'a refusal comes before the body has been sent' => sub {
    my $stranger = $origin->sas('/acct/data', sp => 'r');
    my $reply = $pond->put('/acct/data/not-mine', sas => $stranger, file => make_file(5 * $MIB + 3), headers => ['x-ms-blob-type: BlockBlob']);
    is($reply->{status}, 403, 'the origin\'s answer');
    is($pond->get('/acct/data/expect', range => 'bytes=0-0')->{status}, 206, 'others go on');
};

subtest 'Shared Key bypasses and says why' => sub {
    push @Headpond::Origin::secrets, 'c2VjcmV0c2lnbmF0dXJl';
    $origin->reset_stats;
    for (1, 2) {
        my $reply = $pond->get('/acct/data/headers', headers => ['Authorization: SharedKey acct:c2VjcmV0c2lnbmF0dXJl',
            'x-ms-date: Mon, 01 Jan 2024 00:00:00 GMT', 'x-ms-version: 2021-08-06']);
        is($reply->{status}, 200, 'answered');
        like($reply->{headers}{'cache-status'}, qr/headpond; fwd=bypass; detail=.*shared-?key/i, 'Cache-Status says why');
    }
    is(scalar @{ $origin->log('/acct/data/headers') }, 2, 'uncached');
    ok($pond->wait_log(qr/ bypass .*shared-?key/i), 'and the log');
};

subtest 'what else is not for a cache' => sub {
    $origin->blob('/acct/data/plain', size => 1000, seed => 3);
    my @cases = (
        ['a lease id', ['x-ms-lease-id: 1'], ''], ['a customer key', ['x-ms-encryption-key: QQ=='], ''], ['tags', ['x-ms-if-tags: "a"=\'b\''], ''],
        ['CORS', ['Origin: http://x'], ''], ['a structured body', ['x-ms-structured-body: XSM/1.0; properties=crc64'], ''],
        ['a range MD5 that is not', ['x-ms-range: bytes=0-9', 'x-ms-range-get-content-md5: false'], ''],
        ['a checksum of several ranges', ['x-ms-range: bytes=0-9,20-29', 'x-ms-range-get-content-md5: true'], ''],
        ['a checksum of more than there is', ['x-ms-range: bytes=0-4194304', 'x-ms-range-get-content-md5: true'], ''],
        ['a part of the service', [], '?comp=tags'],
    );
    $pond->get('/acct/data/plain');
    $pond->settle;
    for (@cases) {
        my ($what, $headers, $query) = @$_;
        $origin->reset_stats;
        my $reply = $pond->get("/acct/data/plain$query", headers => $headers, $query ? (sas => $sas) : ());
        like($reply->{headers}{'cache-status'}, qr/headpond; fwd=bypass/, "$what: bypass");
        is(scalar @{ $origin->log('/acct/data/plain') }, 1, "$what: the origin answered");
    }
};

subtest 'a GET or HEAD with a body' => sub {
    my $path = '/acct/data/plain';
    my $refused = sub { $pond->metric('headpond_refused_total', reason => 'body-unwanted') };
    for my $method (qw(GET HEAD)) {
        my @bodies = (
            ['a length and a body', "Content-Length: 5\r\n\r\nhello", 400],
            ['chunks', "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400],
            ['a length of 0', "Content-Length: 0\r\n\r\n", 200],
            ['chunks without a byte', "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200],
        );
        for ([$path, 'that is cached'], ["$path?x=1&$sas", 'that is passed through']) {
            my ($target, $kind) = @$_;
            for (@bodies) {
                my ($what, $rest, $status) = @$_;
                $origin->reset_stats;
                my $before = $refused->();
                my $next = "GET /acct/data/none?x=$method HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
                my ($text) = $pond->raw("$method $target HTTP/1.1\r\nHost: x\r\n$rest$next");
                my $reply = Headpond::Http::parse($text);
                is($reply->{status}, $status, "$method $kind, $what: $status");
                is($refused->() - $before, $status == 400 ? 1 : 0, "$method $kind, $what: counted");
                like($text, qr{HTTP/1\.1 404 }, "$method $kind, $what: the next request is answered");
                next if $status != 400;
                is($reply->{headers}{'x-ms-error-code'}, 'InvalidInput', "$method $kind, $what: as Azure says it");
                like($text, qr{<Error><Code>InvalidInput</Code>}, "$method $kind, $what: in XML") if $method eq 'GET';
                is($reply->{headers}{'cache-status'}, undef, "$method $kind, $what: nobody has looked");
                is(scalar @{ $origin->log($path) }, 0, "$method $kind, $what: the origin has not seen it");
            }
        }
        my ($text) = $pond->raw("$method $path HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" . 'x' x 1_000_000);
        like($text, qr{^HTTP/1\.1 400 .*\nConnection: close}s, "$method, a large one: not read to its end");
        my @fields = (':method', $method, ':scheme', 'http', ':authority', 'x', ':path', $path);
        for (['a body', [], 'hello', 400], ['a length and a body', ['content-length', 5], 'hello', 400], ['an empty frame', [], '', 200]) {
            my ($what, $more, $body, $status) = @$_;
            my $h2 = Headpond::H2->connect($pond->{http});
            my $stream = $h2->request(Headpond::H2::fields(@fields, @$more), 0x4);
            $h2->send(Headpond::H2::frame(DATA => 1, $stream, $body));
            is(($h2->outcome($stream))[0], $status, "$method over HTTP/2, $what: $status");
            ok($h2->still_works($path), "$method over HTTP/2, $what: the connection goes on");
        }
    }
    ok($pond->wait_log(qr/ bad-request .* reason=body-unwanted: /), 'the log tells');
};

subtest 'a client that goes away' => sub {
    $origin->fault(path => '/acct/data/down', rate => $MIB, times => 1);
    my $job = $pond->begin('/acct/data/down', headers => ['x-ms-lease-id: 1']);
    Headpond::Process::wait_until(sub { $job->received > 0 });
    $job->cancel;
    ok($pond->wait_metric(sub { $_[0] == 0 }, 'headpond_origin_inflight'), 'ends its origin request');
    ok(Headpond::Process::wait_until(sub { $origin->stats->{inflight} == 0 }), 'as the origin sees it too');
    $origin->clear_faults;
};

$pond->stop;
done_testing();
