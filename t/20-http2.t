# SPDX-License-Identifier: Apache-2.0
# HTTP/2 at its edges: a broken stream is reset, a broken connection told goodbye, a flood bounded, and everybody else goes
# on. Frames by hand; what a client can say in good frames is told by curl.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::H2;
use Test::More;

my %error = (NO_ERROR => 0, PROTOCOL_ERROR => 1, INTERNAL_ERROR => 2, FLOW_CONTROL_ERROR => 3, STREAM_CLOSED => 5, FRAME_SIZE_ERROR => 6,
    REFUSED_STREAM => 7, CANCEL => 8, COMPRESSION_ERROR => 9, ENHANCE_YOUR_CALM => 11);

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob('/acct/data/x', size => 100, seed => 1);
$origin->blob('/acct/data/big', size => 64 << 20, seed => 2);
my $pond = Headpond->start(origin => $origin);
$pond->get('/acct/data/x');

my $PATH = '/acct/data/x';
sub frame { return Headpond::H2::frame(@_) }
sub fields { return Headpond::H2::fields(@_) }
sub get_fields { return Headpond::H2::get_fields(@_) }
sub open_connection { return Headpond::H2->connect($pond->{http}, @_) }

subtest 'a good request' => sub {
    ok(open_connection()->still_works($PATH), 'is answered');
};

subtest 'broken streams: the stream is reset, the connection lives' => sub {
    my @cases = (
        ['a name in capitals', get_fields($PATH, 'X-Upper', '1')],
        ['Connection', get_fields($PATH, 'connection', 'close')],
        ['Transfer-Encoding', get_fields($PATH, 'transfer-encoding', 'chunked')],
        ['TE: gzip', get_fields($PATH, 'te', 'gzip')],
        ['no :path', fields(':method', 'GET', ':scheme', 'http', ':authority', 'x')],
        ['an empty :path', fields(':method', 'GET', ':scheme', 'http', ':authority', 'x', ':path', '')],
        ['two :path', get_fields($PATH, ':path', $PATH)],
        ['a pseudo-header after a header', fields(':method', 'GET', 'a', 'b', ':scheme', 'http', ':path', $PATH)],
        ['an unknown pseudo-header', get_fields($PATH, ':odd', 'x')],
        ['a response\'s pseudo-header', get_fields($PATH, ':status', '200')],
        ['LF in a value', get_fields($PATH, 'a', "b\nc")],
        ['NUL in a value', get_fields($PATH, 'a', "b\0c")],
        ['a space in a name', get_fields($PATH, 'a b', 'c')],
        ['a negative length', get_fields($PATH, 'content-length', '-1')],
        ['two lengths', get_fields($PATH, 'content-length', '1', 'content-length', '2')],
    );
    my $connection = open_connection();
    for (@cases) {
        my ($what, $block) = @$_;
        my ($how, $code) = $connection->outcome($connection->request($block));
        ok($how eq 'RST_STREAM' && $code == $error{PROTOCOL_ERROR} || $how eq '400', "$what: reset or 400") or diag("$how " . ($code // ''));
        ok($connection->still_works($PATH), "$what: the connection lives") or $connection = open_connection();
    }
};

subtest 'a body that is not as long as it said' => sub {
    my $connection = open_connection();
    for my $case (['more', 'hello!'], ['less', 'hell']) {
        my ($what, $body) = @$case;
        my $write = $origin->sas('/acct/data', sp => 'rcw');
        my $stream = $connection->request(fields(':method', 'PUT', ':scheme', 'http', ':authority', 'x', ':path', "/acct/data/put?$write",
            'x-ms-blob-type', 'BlockBlob', 'content-length', '5'), 0x4);
        $connection->send(frame(DATA => 1, $stream, $body));
        my ($how) = $connection->outcome($stream);
        like($how, qr/^(RST_STREAM|400)$/, "$what: refused");
        ok($connection->still_works($PATH), "$what: the connection lives");
    }
    is(eval { $origin->describe('/acct/data/put') }, undef, 'nothing was written');
};

subtest 'broken connections: GOAWAY' => sub {
    my $request = frame(HEADERS => 0x5, 1, get_fields($PATH));
    my @cases = (
        ['DATA on stream 0', frame(DATA => 0, 0, 'x'), 'PROTOCOL_ERROR'],
        ['HEADERS on stream 0', frame(HEADERS => 0x5, 0, get_fields($PATH)), 'PROTOCOL_ERROR'],
        ['an even stream', frame(HEADERS => 0x5, 2, get_fields($PATH)), 'PROTOCOL_ERROR'],
        ['CONTINUATION out of nowhere', frame(CONTINUATION => 0x4, 1, ''), 'PROTOCOL_ERROR'],
        ['another frame within a header block', frame(HEADERS => 0x1, 1, get_fields($PATH)) . frame(PING => 0, 0, '12345678'), 'PROTOCOL_ERROR'],
        ['a frame of 1 MiB', frame(DATA => 0, 1, 'x' x (1 << 20)), 'FRAME_SIZE_ERROR'],
        ['a PING of 7 bytes', frame(PING => 0, 0, '1234567'), 'FRAME_SIZE_ERROR'],
        ['SETTINGS of 5 bytes', frame(SETTINGS => 0, 0, '12345'), 'FRAME_SIZE_ERROR'],
        ['SETTINGS on a stream', frame(SETTINGS => 0, 1, ''), 'PROTOCOL_ERROR'],
        ['a window beyond 31 bits', frame(SETTINGS => 0, 0, pack 'nN', 4, 0x80000000), 'FLOW_CONTROL_ERROR'],
        ['a window opened by 0', frame(WINDOW_UPDATE => 0, 0, pack 'N', 0), 'PROTOCOL_ERROR'],
        ['a window opened too far', frame(WINDOW_UPDATE => 0, 0, pack('N', 0x7fffffff)) x 2, 'FLOW_CONTROL_ERROR'],
        ['PUSH_PROMISE from a client', frame(PUSH_PROMISE => 0x4, 1, pack('N', 2) . get_fields($PATH)), 'PROTOCOL_ERROR'],
        ['HPACK that is none', frame(HEADERS => 0x5, 1, "\xff\xff\xff\xff\xff\xff\xff"), 'COMPRESSION_ERROR'],
        ['an index out of the table', frame(HEADERS => 0x5, 1, "\xc8"), 'COMPRESSION_ERROR'],
        ['RST_STREAM of an idle stream', frame(RST_STREAM => 0, 9, pack 'N', 8), 'PROTOCOL_ERROR'],
        ['padding longer than its frame', frame(DATA => 0x8, 1, "\xffx"), 'PROTOCOL_ERROR'],
    );
    my %called = reverse %error;
    for (@cases) {
        my ($what, $bytes, $expected) = @$_;
        my $connection = open_connection();
        $connection->send($bytes);
        my $frame = $connection->wait_frame(sub { $_[0]{type} eq 'GOAWAY' });
        my $code = $frame->{type} eq 'GOAWAY' ? $called{ unpack 'x4N', $frame->{payload} } : $frame->{type};
        like($code, ref $expected ? $expected : qr/^$expected$/, "$what: $code");
        my $end = $connection->wait_frame(sub { 0 }, 5);
        is($end->{type}, 'closed', "$what: and the connection is closed");
    }
    my $other = open_connection(preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX");
    isnt($other->wait_frame(sub { 0 }, 5)->{type}, 'silent', 'a broken preface: closed');
    ok(open_connection()->still_works($PATH), 'others go on');
};

subtest 'floods are bounded' => sub {
    my $before = $pond->metric('headpond_memory_bytes');
    my $settings = frame(SETTINGS => 0, 0, '');
    my $open_block = frame(HEADERS => 0x1, 1, get_fields($PATH));
    my @cases = (
        ['resets', sub { my ($c) = @_; for (1 .. 20_000) { my $s = $c->{next}; $c->{next} += 2;
            $c->send(frame(HEADERS => 0x5, $s, get_fields('/acct/data/big')) . frame(RST_STREAM => 0, $s, pack 'N', 8)) or last } }],
        ['pings', sub { $_[0]->send(frame(PING => 0, 0, '12345678') x 1000) or last for 1 .. 200 }],
        ['settings', sub { $_[0]->send($settings x 1000) or last for 1 .. 50 }],
        ['CONTINUATION without end', sub { my ($c) = @_; $c->send($open_block); $c->send(frame(CONTINUATION => 0, 1, fields('a', 'b' x 1000))) or last for 1 .. 20_000 }],
        ['empty DATA', sub { my ($c) = @_; my $s = $c->request(fields(':method', 'PUT', ':scheme', 'http', ':authority', 'x', ':path', $PATH), 0x4);
            $c->send(frame(DATA => 0, $s, '') x 1000) or last for 1 .. 50 }],
    );
    for (@cases) {
        my ($what, $flood) = @$_;
        my $connection = open_connection();
        no warnings 'exiting';
        for (1) { $flood->($connection) }
        ok(open_connection()->still_works($PATH), "$what: others go on");
        cmp_ok($pond->metric('headpond_memory_bytes') - $before, '<', 64 << 20, "$what: memory is bounded");
    }
};

subtest 'more streams than allowed' => sub {
    my $connection = open_connection();
    my $settings = $connection->wait_frame(sub { $_[0]{type} eq 'SETTINGS' && !($_[0]{flags} & 1) });
    my %setting = unpack '(nN)*', $settings->{payload};
    my $limit = $setting{3};
    ok($limit && $limit <= 10_000, 'the number of streams is limited: ' . ($limit // 'no'));
    $connection->request(get_fields('/acct/data/big')) for 1 .. ($limit // 100) + 10;
    my $last = $connection->{next} - 2;
    my ($how, $code) = $connection->outcome($last);
    ok($how =~ /RST_STREAM|GOAWAY/ && $code =~ /^(1|7|11)$/, 'one too many is refused') or diag("$how " . ($code // ''));
};

subtest 'a reader that opens no window' => sub {
    my @idle = map { my $c = open_connection(settings => pack 'nN', 4, 0); $c->request(get_fields('/acct/data/big')); $c } 1 .. 20;
    $_->wait_frame(sub { $_[0]{type} eq 'HEADERS' }) for @idle;
    ok(open_connection()->still_works($PATH), 'others go on');
    cmp_ok($pond->metric('headpond_memory_bytes'), '<', 256 << 20, 'in bounded memory');
};

subtest 'good frames, bad requests' => sub {
    my @cases = (['/acct/data/%zz', 400], ['/../data/x', 400], ['/ACCT/data/x', 400], ['/acct/%2e%2e/x', 400], ['/acct/data/' . 'y' x 20_000, qr/^(400|414|431)$/]);
    for my $proto (qw(h2c h2s)) {
        for (@cases) {
            my ($path, $status) = @$_;
            my $reply = $pond->get($path, proto => $proto);
            my $what = "$proto " . substr $path, 0, 30;
            ref $status ? like($reply->{status}, $status, $what) : is($reply->{status}, $status, $what);
            like($reply->{body}, qr{<Error><Code>\w+</Code>}, "$what: XML");
        }
        like($pond->get('/acct/data/x', proto => $proto, headers => [map { "a$_: " . 'b' x 1000 } 1 .. 300])->{status}, qr/^(431|0)$/, "$proto: headers too large");
        is($pond->get('/acct/data/x', proto => $proto)->{status}, 200, "$proto: others go on");
    }
};

$pond->stop;
done_testing();
