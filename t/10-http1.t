# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 at its edges: what is malformed gets a careful server's answer, an Azure-shaped body, a metric and a log line,
# while everybody else goes on; what is merely unusual works.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob('/acct/data/x', size => 100, seed => 1);
my $write = $origin->sas('/acct/data', sp => 'rcwd');
my $pond = Headpond->start(origin => $origin, config => { header_timeout => '2s' });
my $expected = $origin->bytes('/acct/data/x');

my $H = "Host: x\r\n";
my $PUT = "PUT /acct/data/put?$write HTTP/1.1\r\n${H}x-ms-blob-type: BlockBlob\r\n";
my $CHUNKED = "${PUT}Transfer-Encoding: chunked\r\n\r\n";

# name, bytes, status (or a pattern)
my @malformed = (
    # the request line
    ['no target', "GET\r\n\r\n", 400],
    ['HTTP/0.9', "GET /acct/data/x\r\n\r\n", qr/^(400|505)$/],
    ['two spaces', "GET  /acct/data/x HTTP/1.1\r\n$H\r\n", 400],
    ['a tab for a space', "GET\t/acct/data/x HTTP/1.1\r\n$H\r\n", 400],
    ['a method that is no token', "G{}T /acct/data/x HTTP/1.1\r\n$H\r\n", 400],
    ['a target without a slash', "GET acct/data/x HTTP/1.1\r\n$H\r\n", 400],
    ['words after the version', "GET /acct/data/x HTTP/1.1 more\r\n$H\r\n", 400],
    ['version 2.0', "GET /acct/data/x HTTP/2.0\r\n$H\r\n", 505],
    ['version 3.1', "GET /acct/data/x HTTP/3.1\r\n$H\r\n", 505],
    ['version 1.x', "GET /acct/data/x HTTP/1.x\r\n$H\r\n", 400],
    ['version in small letters', "GET /acct/data/x http/1.1\r\n$H\r\n", 400],
    ['NUL in the target', "GET /acct/da\0ta/x HTTP/1.1\r\n$H\r\n", 400],
    ['a control character in the target', "GET /acct/da\x01ta/x HTTP/1.1\r\n$H\r\n", 400],
    ['a byte over 127 in the target', "GET /acct/d\xe4ta/x HTTP/1.1\r\n$H\r\n", 400],
    ['CONNECT', "CONNECT example:443 HTTP/1.1\r\nHost: example:443\r\n\r\n", qr/^(400|405|501)$/],
    ['TRACE', "TRACE /acct/data/x HTTP/1.1\r\n$H\r\n", 405],
    ['a target of 100 KiB', 'GET /acct/data/' . 'x' x 100_000 . " HTTP/1.1\r\n$H\r\n", 414],
    ['a method of 10,000 letters', 'G' x 10_000 . " / HTTP/1.1\r\n$H\r\n", qr/^(400|414|501)$/],
    # line ends and header lines
    ['bare LF', "GET /acct/data/x HTTP/1.1\n${H}\r\n", 400],
    ['bare LF after a header', "GET /acct/data/x HTTP/1.1\r\nHost: x\n\r\n", 400],
    ['bare CR in a value', "GET /acct/data/x HTTP/1.1\r\n${H}a: b\rc\r\n\r\n", 400],
    ['NUL in a value', "GET /acct/data/x HTTP/1.1\r\n${H}a: b\0c\r\n\r\n", 400],
    ['a folded header', "GET /acct/data/x HTTP/1.1\r\n${H}a: b\r\n c\r\n\r\n", 400],
    ['a space before the colon', "GET /acct/data/x HTTP/1.1\r\nHost : x\r\n\r\n", 400],
    ['a header without a colon', "GET /acct/data/x HTTP/1.1\r\n${H}nothing\r\n\r\n", 400],
    ['a header without a name', "GET /acct/data/x HTTP/1.1\r\n${H}: b\r\n\r\n", 400],
    ['a name that is no token', "GET /acct/data/x HTTP/1.1\r\n${H}a(b): c\r\n\r\n", 400],
    ['a space before the first header', "GET /acct/data/x HTTP/1.1\r\n $H\r\n", 400],
    ['no Host', "GET /acct/data/x HTTP/1.1\r\n\r\n", 400],
    ['two Hosts', "GET /acct/data/x HTTP/1.1\r\n${H}Host: y\r\n\r\n", 400],
    ['a Host that is none', "GET /acct/data/x HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
    ['headers of 1 MiB', "GET /acct/data/x HTTP/1.1\r\n$H" . ('a: ' . 'b' x 1000 . "\r\n") x 1000 . "\r\n", 431],
    ['one header of 1 MiB', "GET /acct/data/x HTTP/1.1\r\n${H}a: " . 'b' x 1_000_000 . "\r\n\r\n", 431],
    ['5,000 headers', "GET /acct/data/x HTTP/1.1\r\n$H" . "a: b\r\n" x 5000 . "\r\n", 431],
    # the body's length
    ['Content-Length and Transfer-Encoding', "${PUT}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    ['two Content-Lengths', "${PUT}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400],
    ['two equal Content-Lengths', "${PUT}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400],
    ['a list of lengths', "${PUT}Content-Length: 5, 5\r\n\r\nhello", 400],
    (map { ["Content-Length: '$_'", "${PUT}Content-Length: $_\r\n\r\nhello", 400] } '', '-5', '+5', '5x', '0x5', '5 5', '1e1'),
    ['a length beyond 64 bits', "${PUT}Content-Length: 99999999999999999999\r\n\r\n", qr/^(400|413)$/],
    ['no length', "${PUT}\r\n", 411],
    ['an unknown coding', "${PUT}Transfer-Encoding: gzip\r\n\r\nx", qr/^(400|501)$/],
    ['a coding before chunked', "${PUT}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", qr/^(400|501)$/],
    ['a coding after chunked', "${PUT}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", qr/^(400|501)$/],
    ['chunked twice', "${PUT}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", qr/^(400|501)$/],
    ['a coding in HTTP/1.0', "PUT /acct/data/put?$write HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    # chunks
    ['a chunk size that is no number', "${CHUNKED}xyz\r\nhello\r\n0\r\n\r\n", 400],
    ['an empty chunk size', "${CHUNKED}\r\nhello\r\n0\r\n\r\n", 400],
    ['a chunk size beyond 64 bits', "${CHUNKED}fffffffffffffffff\r\nhello\r\n0\r\n\r\n", 400],
    ['a negative chunk size', "${CHUNKED}-5\r\nhello\r\n0\r\n\r\n", 400],
    ['a chunk longer than its size', "${CHUNKED}4\r\nhello\r\n0\r\n\r\n", 400],
    ['a bare LF after a chunk size', "${CHUNKED}5\nhello\r\n0\r\n\r\n", 400],
    ['a chunk extension of 1 MiB', "${CHUNKED}5;" . 'e' x 1_000_000 . "\r\nhello\r\n0\r\n\r\n", qr/^4\d\d$/],
    # the target's parts
    (map { ["target $_", "GET $_ HTTP/1.1\r\n$H\r\n", 400] } '/acct/data/%zz', '/acct/data/%', '/acct/data/%0', '/acct/data/a%00b',
        '/ab/data/x', '/ACCT/data/x', '/acct!/data/x', '/' . 'a' x 25 . '/data/x', '/../data/x', '/acct/../x', '/acct/%2e%2e/x',
        '/%2e%2e/data/x'),
    ['an unknown expectation', "${PUT}Expect: miracles\r\nContent-Length: 5\r\n\r\nhello", 417],
);

# A whole reply of a connection that may stay open.
sub whole_reply {
    my ($text) = @_;
    my $reply = Headpond::Http::parse($text);
    return $text =~ /\r\n\r\n/ && length $reply->{body} >= ($reply->{headers}{'content-length'} // 1e9);
}

my $steady = $pond->connect; # a connection that lives through all of it
sub others_go_on {
    my ($what) = @_;
    syswrite $steady, "GET /acct/data/x HTTP/1.1\r\nHost: x\r\n\r\n";
    my ($text) = Headpond::Http::read_all($steady, 10, sub { $_[0] =~ /\r\n\r\n.{100}\z/s });
    my $reply = Headpond::Http::parse($text);
    return $reply->{status} == 200 && $reply->{body} eq $expected
        || fail("$what: others go on") && 0;
}

subtest 'malformed requests' => sub {
    my $before = $pond->metric('headpond_refused_total');
    my $good = others_go_on('at the start');
    for (@malformed) {
        my ($what, $bytes, $status) = @$_;
        my ($text, $end) = $pond->raw($bytes, 5, \&whole_reply);
        my $reply = Headpond::Http::parse($text);
        ref $status ? like($reply->{status}, $status, $what) : is($reply->{status}, $status, $what)
            or diag("$end after: " . substr $text, 0, 300);
        next if !$reply->{status};
        like($reply->{body}, qr{^(?:\xef\xbb\xbf)?<\?xml [^>]*\?>\s*<Error><Code>\w+</Code><Message>[^<]+</Message>.*</Error>}s, "$what: Azure's XML");
        is($reply->{headers}{'content-type'}, 'application/xml', "$what: Content-Type");
        ok($reply->{headers}{'x-ms-error-code'}, "$what: x-ms-error-code");
        ok($reply->{headers}{'x-ms-request-id'}, "$what: x-ms-request-id");
        is(length $reply->{body}, $reply->{headers}{'content-length'}, "$what: Content-Length");
        $good &&= others_go_on($what);
    }
    ok($good, 'others went on all the while');
    cmp_ok($pond->metric('headpond_refused_total') - $before, '>=', @malformed - 3, 'each was counted');
    ok($pond->wait_log(qr/ bad-request /), 'the log tells of them');
};

subtest 'the other kind of port' => sub {
    my $fresh = Headpond->start(origin => $origin);
    my $from = qr/client=127\.0\.0\.1:\d+/;
    my ($text) = $fresh->raw("GET  /x HTTP/1.1\r\n\r\n", 5, \&whole_reply);
    my $reply = Headpond::Http::parse($text);
    is($reply->{status}, 400, 'malformed: 400');
    ok($fresh->wait_log(qr/ bad-request $from listener=\Q$fresh->{http}\E request=\Q$reply->{headers}{'x-ms-request-id'}\E reason=bad-request: /), 'the log names client, listener and reply');

    my ($hello) = $fresh->raw("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" . 'r' x 194, 5, \&whole_reply);
    $reply = Headpond::Http::parse($hello);
    is($reply->{status}, 400, 'TLS on a cleartext port: 400');
    like($reply->{body}, qr/TLS on a cleartext port/, 'which says so');
    ok($fresh->wait_log(qr/ bad-request $from listener=\Q$fresh->{http}\E request=\S+ reason=tls-on-cleartext-port: TLS on a cleartext port$/m), 'as the log does');
    is($fresh->metric('headpond_refused_total', reason => 'tls-on-cleartext-port'), 1, 'and the metric');

    for my $bytes ("GET /acct/data/x HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /acct/data/x HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" . 'x' x 200_000) {
        my ($plain, $end) = Headpond::Http::raw($fresh->{https}, $bytes, 5);
        $reply = Headpond::Http::parse($plain);
        is($reply->{status}, 400, 'HTTP on a TLS port: 400') or diag("$end: $plain");
        is($reply->{body}, "this port speaks TLS\r\n", 'in clear text');
        is($end, 'closed', 'and the end');
    }
    ok($fresh->wait_log(qr/ tls-failed $from listener=\Q$fresh->{https}\E: an HTTP request on a TLS port$/m), 'the log says so');
    is($fresh->get('/acct/data/x', proto => 'h1s')->{status}, 200, 'TLS goes on');
    $fresh->stop;
};

subtest 'nothing smuggled' => sub {
    $origin->reset_stats;
    my $hidden = "GET /acct/data/hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    for my $head ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding : chunked\r\n", "Content-Length: 0\r\nContent-Length: 50\r\n",
        "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding:\x0bchunked\r\n") {
        my ($text) = $pond->raw("POST /acct/data/x HTTP/1.1\r\nHost: x\r\n$head\r\n0\r\n\r\n$hidden", 3);
        is(scalar(() = $text =~ m{^HTTP/1\.1 }mg), 1, 'one answer, then the connection is closed');
    }
    is($origin->path_stats('/acct/data/hidden')->{requests}, 0, 'the origin saw no hidden request');
};

subtest 'what is unusual but right' => sub {
    my @good = (
        ['an absolute target', "GET http://x/acct/data/x HTTP/1.1\r\nHost: x\r\n", 200],
        ['HTTP/1.0', "GET /acct/data/x HTTP/1.0\r\n", 200],
        ['an empty line before', "\r\nGET /acct/data/x HTTP/1.1\r\nHost: x\r\n", 200],
        ['spaces around a value', "GET /acct/data/x HTTP/1.1\r\nHost:   x  \r\na:\r\n", 200],
        ['names in any case', "GET /acct/data/x HTTP/1.1\r\nhOST: x\r\nrANGE: bytes=0-9\r\n", 206],
        ['Host with a port', "GET /acct/data/x HTTP/1.1\r\nHost: [::1]:80\r\n", 200],
    );
    for (@good) {
        my ($what, $bytes, $status) = @$_;
        my ($text) = $pond->raw("${bytes}Connection: close\r\n\r\n", 5);
        is(Headpond::Http::parse($text)->{status}, $status, $what) or diag(substr $text, 0, 300);
    }
};

subtest 'pipelining' => sub {
    my $requests = join '', map { "GET /acct/data/x HTTP/1.1\r\nHost: x\r\nRange: bytes=$_-$_\r\n" . ($_ == 49 ? "Connection: close\r\n" : '') . "\r\n" } 0 .. 49;
    my ($text, $end) = $pond->raw($requests, 10);
    my @ranges = $text =~ m{^Content-Range: bytes (\d+)-}mgi;
    is("@ranges", join(' ', 0 .. 49), 'fifty requests, fifty answers, in their order');
    is($end, 'closed', 'and an end');
    my ($bytes) = (join '', $text =~ m{\r\n\r\n(.)(?=HTTP/1\.1 |\z)}sg);
    is($bytes, substr($expected, 0, 50), 'the right bytes');
};

subtest 'byte by byte' => sub {
    my $socket = $pond->connect;
    syswrite $socket, $_ for split //, "GET /acct/data/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    my ($text) = Headpond::Http::read_all($socket, 10);
    is(Headpond::Http::parse($text)->{body}, $expected, 'a request in single bytes');
};

subtest 'chunked uploads, chunk by chunk' => sub {
    my ($text) = $pond->raw("PUT /acct/data/chunks?$write HTTP/1.1\r\n${H}x-ms-blob-type: BlockBlob\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        . "5\r\nhello\r\n1;ext=\"a;b\"\r\n \r\nA\r\n0123456789\r\n000\r\nTrailer: x\r\n\r\n", 5);
    is(Headpond::Http::parse($text)->{status}, 201, 'written');
    is($origin->bytes('/acct/data/chunks'), 'hello 0123456789', 'as it was meant');
};

subtest 'a slow head is cut off' => sub {
    my $socket = $pond->connect;
    syswrite $socket, "GET /acct/data/x HTTP/1.1\r\nHo";
    my ($text, $end) = Headpond::Http::read_all($socket, 10);
    isnt($end, 'silent', 'the connection ends');
    like($text, qr{^(HTTP/1\.1 408 .*)?\z}s, 'with 408 or nothing');
};

subtest 'keep-alive' => sub {
    my $before = $pond->metric('headpond_accepted_total');
    others_go_on('keep-alive') for 1 .. 20;
    cmp_ok($pond->metric('headpond_accepted_total') - $before, '<=', 2, 'twenty requests on one connection');
};

$pond->stop;
done_testing();
