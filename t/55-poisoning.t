# SPDX-License-Identifier: Apache-2.0
# What one user sends changes nothing that another sees (decision 6): each of these requests comes first to a blob that nobody
# has read, then to one that is in cache, over HTTP/1.1 and HTTP/2; afterwards another user is told about the blob what the
# origin tells that user directly: status, headers, bytes, by GET, ranged GET and HEAD, over both protocols.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Differential::Compare;
use Headpond::Differential::Credentials;
use Headpond::Differential::Sign;
use Headpond::Differential::Wire;
use Headpond::Differential::World;
use Headpond::H2;
use MIME::Base64 qw(encode_base64);
use Test::More;

my $SIZE = 40_000; # within HTTP/2's first window
my $VERSION = '2021-12-02';
my ($KEY, $OTHER_KEY) = map { encode_base64($_ x 64, '') } 'k', 'o';
my %MODERN = ('x-ms-version' => $VERSION);
my $OVERRIDES = 'rscc=evil&rscd=evil&rsce=evil&rscl=evil&rsct=text%2Fevil';
my @OVERRIDES = (rscc => 'evil', rscd => 'evil', rsce => 'evil', rscl => 'evil', rsct => 'text/evil');

my $origin = Headpond::Origin->start;
my $world = Headpond::Differential::World->new(address => $origin->{address}, account => 'acct', key => $KEY, key2 => $OTHER_KEY, other_key => $OTHER_KEY);
$origin->account('acct', key => $KEY);
$origin->account('other', key => $OTHER_KEY);
$origin->container('acct/private');
$origin->container('acct/public', public => 1);
$origin->container("other/$_", public => 1) for qw(private public);
my $direct = Headpond::Differential::Wire->new($origin->{address});
my $serial = 0;

# ---- Credentials, of which the attacker has one and the victim another. ----

sub service {
    my ($cell, %p) = @_;
    return Headpond::Differential::Credentials::secret_service($world, { %$cell, name => $cell->{blob} }, %p)->{query}[0];
}

sub account_sas { my ($cell) = @_; return Headpond::Differential::Credentials::secret_account($world, $cell)->{query}[0] }

my %TOKEN = (
    good => sub { service($_[0]) },
    blob => sub { service($_[0], sr => 'b') },
    account => sub { account_sas($_[0]) },
    overriding => sub { service($_[0], @OVERRIDES) },
    'overriding-blob' => sub { service($_[0], sr => 'b', @OVERRIDES) },
    'type-overriding' => sub { service($_[0], rsct => 'text/evil') },
    'overridden' => sub { service($_[0]) . "&$OVERRIDES" },
    'overridden-first' => sub { "$OVERRIDES&" . service($_[0]) },
    'account-overridden' => sub { account_sas($_[0]) . "&$OVERRIDES" },
    'write-overriding' => sub { service($_[0], sp => 'w', @OVERRIDES) },
    'bogus' => sub { "sv=2021-12-02&sr=c&sp=r&se=2098-01-01T00%3A00%3A00Z&$OVERRIDES&sig=AAAA" },
    write => sub { service($_[0], sp => 'w') },
    list => sub { service($_[0], sp => 'l') },
    expired => sub { service($_[0], se => Headpond::Differential::Sign::iso_date(time - 60 - $_[0]{serial})) },
    prolonged => sub { service($_[0]) =~ s/se=\d{4}/se=2098/r },
    'old-version' => sub { service($_[0], sv => '2015-04-05') },
    ended => sub { service($_[0], si => 'nobody') },
    'another-address' => sub { service($_[0], sip => '10.1.2.3') },
    'https-only' => sub { service($_[0], spr => 'https') },
    'another-container' => sub { service({ %{ $_[0] }, container => 'elsewhere' }) },
);

# ---- The requests. ----
#
# name => what differs from a GET by a user who may read: method, token (a row above, or none), headers {} (lists repeat a
# name; undef: not sent), query (behind the token), path (in which NAME is the blob's name), body, refused (it has to be).
# bearer, signed: with a token of the origin's, with the account's key. raw: only over HTTP/1.1, the bytes; TARGET is path and query.
my $ALL_WRITES = { token => 'good', refused => 1, body => 'evil' };
sub write_by { my ($method, %more) = @_; return { %$ALL_WRITES, method => $method, %more } }
sub raw { my ($text, %more) = @_; return { raw => $text =~ s/\n/\r\n/gr, %more } }
sub with { my (%headers) = @_; return { headers => \%headers } }
my $SELF = 'Host: x';

my @ATTACKS = (
    # Overrides of reply headers.
    (map { my $token = $_; map { ["$token, $_->[0]" => { token => $token, %{ $_->[1] } }] }
        (['GET', {}], ['HEAD', { method => 'HEAD' }], ['range', with(Range => 'bytes=0-99')]) }
        qw(overriding overriding-blob overridden account-overridden write-overriding)),
    ['the type overridden' => { token => 'type-overriding' }],
    ['overrides before the token' => { token => 'overridden-first' }],
    ['overrides and a bogus signature' => { token => 'bogus' }],
    ['overrides and no token' => { token => undef, query => $OVERRIDES }],
    (map { my $name = $_; map { ["$_->[0], $name" => { token => undef, $name => 1, %{ $_->[1] } }] } (['overrides', { query => $OVERRIDES }],
        ['overrides, HEAD', { query => $OVERRIDES, method => 'HEAD' }], ['an old version', with('x-ms-version' => '2011-08-18')],
        ['no version', with('x-ms-version' => undef)], ['lease', with('x-ms-lease-id' => '11111111-2222-3333-4444-555555555555')],
        ['cors', with(Origin => 'https://evil.example')]) } qw(bearer signed)),
    ['overrides in other letters' => { query => 'RSCT=text%2Fevil&rsct=text%2Fevil' }],
    ['overrides and an old version' => { token => 'overriding', headers => { 'x-ms-version' => '2009-09-19' } }],
    ['overrides of a 304' => { token => 'overriding', headers => { 'If-None-Match' => '"0x0"' } }],
    # Versions.
    (map { ["version $_" => with('x-ms-version' => $_)] } qw(2009-09-19 2011-08-18 2012-02-12 2015-02-21 2017-04-17 2099-01-01 evil), ''),
    ['no version' => with('x-ms-version' => undef)],
    ['no version, HEAD' => { method => 'HEAD', headers => { 'x-ms-version' => undef } }],
    ['an old version, HEAD' => { method => 'HEAD', headers => { 'x-ms-version' => '2009-09-19' } }],
    ['an old version, range' => with('x-ms-version' => '2011-08-18', Range => 'bytes=0-99')],
    ['two versions' => with('x-ms-version' => ['2009-09-19', $VERSION])],
    ['api-version' => { query => 'api-version=2009-09-19' }],
    ['api-version, no header' => { query => 'api-version=2009-09-19', headers => { 'x-ms-version' => undef } }],
    ['a token of an old version' => { token => 'old-version', headers => { 'x-ms-version' => undef } }],
    # Tokens that may not read.
    (map { my $token = $_; map { ["$token, $_" => { token => $token, method => $_, refused => 1 }] } qw(GET HEAD) }
        qw(write list expired prolonged ended another-address https-only another-container)),
    ['a token for the account' => { token => 'account' }],
    ['a token for the blob' => { token => 'blob' }],
    ['bearer unknown' => { token => undef, refused => 1, headers => { Authorization => 'Bearer evil' } }],
    ['shared key, forged' => { token => undef, refused => 1, headers => { Authorization => 'SharedKey acct:ZXZpbA==',
        'x-ms-date' => Headpond::Differential::Sign::http_date(time) } }],
    ['a scheme that is none' => { token => undef, refused => 1, headers => { Authorization => 'Evil evil' } }],
    ['two authorizations' => { token => undef, refused => 1, headers => { Authorization => ['Bearer evil', 'Bearer worse'] } }],
    ['a token and an authorization' => { refused => 1, headers => { Authorization => 'Bearer evil' } }],
    ['two tokens' => { query => 'sig=evil&sp=rw' }],
    ['an empty authorization' => with(Authorization => '')],
    # Writes that are refused.
    (map { my $token = $_; map { ["$_->[0], " . ($token // 'nobody') => { %{ $_->[1] }, token => $token }] }
        (['delete', write_by('DELETE', body => undef)],
            ['put', write_by('PUT', headers => { 'x-ms-blob-type' => 'BlockBlob', 'x-ms-meta-evil' => 'evil' })],
            ['acl', write_by('PUT', container => 1, query => 'restype=container&comp=acl', headers => { 'x-ms-blob-public-access' => 'container' })]) }
        'good', 'expired', 'prolonged', 'another-container', undef),
    (map { ["comp=$_" => write_by('PUT', query => "comp=$_", headers => { 'x-ms-meta-evil' => 'evil', 'x-ms-access-tier' => 'Cool',
        'x-ms-blob-content-type' => 'text/evil', 'x-ms-lease-action' => 'acquire', 'x-ms-lease-duration' => '-1' })] }
        qw(metadata properties tier lease snapshot tags block&blockid=QQ%3D%3D blocklist undelete evil)),
    ['copy' => write_by('PUT', body => '', headers => { 'x-ms-copy-source' => "http://$origin->{address}/other/public/evil" })],
    ['copy from a URL' => write_by('PUT', body => '', headers => { 'x-ms-blob-type' => 'BlockBlob',
        'x-ms-copy-source' => "http://$origin->{address}/other/public/evil" })],
    ['rename' => write_by('PUT', body => '', headers => { 'x-ms-rename-source' => '/public/evil' })],
    ['delete with snapshots' => write_by('DELETE', body => undef, headers => { 'x-ms-delete-snapshots' => 'include' })],
    ['delete the container' => write_by('DELETE', body => undef, container => 1, query => 'restype=container')],
    ['delete from an odd path' => write_by('DELETE', body => undef, path => 'a/../NAME')],
    ['patch' => write_by('PATCH', query => 'action=append&position=0')],
    ['access control' => write_by('PATCH', query => 'action=setAccessControl', headers => { 'x-ms-owner' => 'evil' })],
    ['put on a condition' => write_by('PUT', headers => { 'x-ms-blob-type' => 'BlockBlob', 'If-None-Match' => '*' })],
    # Requests that are for this user alone.
    ['lease' => with('x-ms-lease-id' => '11111111-2222-3333-4444-555555555555')],
    ['lease, HEAD' => { method => 'HEAD', headers => { 'x-ms-lease-id' => '11111111-2222-3333-4444-555555555555' } }],
    ['a lease that is none' => with('x-ms-lease-id' => 'evil')],
    ['a customer\'s key' => with('x-ms-encryption-key' => 'ZXZpbA==', 'x-ms-encryption-key-sha256' => 'ZXZpbA==',
        'x-ms-encryption-algorithm' => 'AES256')],
    ['a customer\'s key\'s hash' => with('x-ms-encryption-key-sha256' => 'ZXZpbA==')],
    ['a customer\'s algorithm' => with('x-ms-encryption-algorithm' => 'AES256')],
    ['tags' => with('x-ms-if-tags' => '"evil"=\'evil\'')],
    ['cors' => with(Origin => 'https://evil.example')],
    ['cors, null' => with(Origin => 'null')],
    ['preflight' => { method => 'OPTIONS', token => undef, headers => { Origin => 'https://evil.example', 'Access-Control-Request-Method' => 'PUT' } }],
    ['a structured body' => with('x-ms-structured-body' => 'XSM/1.0; properties=crc64')],
    ['a name of the request' => with('x-ms-client-request-id' => 'evil')],
    # Conditions.
    ['if-match' => { refused => 1, headers => { 'If-Match' => '"0x8D0000000000000"' } }],
    ['if-match, HEAD' => { method => 'HEAD', refused => 1, headers => { 'If-Match' => '"0x8D0000000000000"' } }],
    ['if-match, range' => { refused => 1, headers => { 'If-Match' => '"0x8D0000000000000"', Range => 'bytes=0-99' } }],
    ['unmodified since' => { refused => 1, headers => { 'If-Unmodified-Since' => 'Thu, 01 Jan 1970 00:00:00 GMT' } }],
    ['none-match' => with('If-None-Match' => '"0x8D0000000000000"')],
    ['none-match any' => with('If-None-Match' => '*')],
    ['match any' => with('If-Match' => '*')],
    ['modified since' => with('If-Modified-Since' => 'Fri, 01 Jan 2100 00:00:00 GMT')],
    ['a date that is none' => with('If-Modified-Since' => 'evil')],
    ['if-range' => with('If-Range' => '"0x8D0000000000000"', Range => 'bytes=0-99')],
    # Ranges.
    (map { ["range $_" => with(Range => $_)] } 'bytes=-5', 'bytes=5-2', 'bytes=0-1,3-4', 'bytes=99999999-', 'bytes=evil', 'items=0-4',
        'bytes=18446744073709551615-',
        'bytes=0-18446744073709551616', 'bytes= 0 - 4', 'bytes=0-0', 'bytes=39999-', 'bytes=0-', ''),
    ['two ranges' => with(Range => ['bytes=0-4', 'bytes=10-14'])],
    ['both ranges' => with(Range => 'bytes=0-4', 'x-ms-range' => 'bytes=100-199')],
    ['a range of HEAD' => { method => 'HEAD', headers => { Range => 'bytes=0-4' } }],
    ['a range\'s MD5' => with(Range => 'bytes=0-99', 'x-ms-range-get-content-md5' => 'true')],
    ['a range\'s CRC' => with(Range => 'bytes=0-99', 'x-ms-range-get-content-crc64' => 'true')],
    ['an MD5 of no range' => with('x-ms-range-get-content-md5' => 'true')],
    # What might be taken for another method or another request.
    (map { my $name = $_; map { ["$name: $_" => with($name => $_)] } qw(DELETE PUT HEAD) } qw(X-HTTP-Method-Override X-HTTP-Method X-Method-Override)),
    ['a POST that is a GET' => { method => 'POST', body => '', headers => { 'X-HTTP-Method-Override' => 'GET' }, refused => 1 }],
    ['a PUT that is a DELETE' => write_by('PUT', headers => { 'X-HTTP-Method-Override' => 'DELETE' })],
    (map { ["$_->[0]: $_->[1]" => with(@$_)] } ['X-Forwarded-Host', 'evil'], ['X-Forwarded-For', '10.1.2.3'], ['Forwarded', 'host=evil;proto=https'],
        ['X-Original-URL', '/other/public/evil'], ['X-Rewrite-URL', '/other/public/evil'], ['Via', '1.1 headpond'], ['CDN-Loop', 'headpond'],
        ['Accept-Encoding', 'gzip'], ['Accept', 'text/evil'], ['Accept-Language', 'evil'], ['Cache-Control', 'no-store'], ['Cache-Control', 'no-cache'],
        ['Cache-Control', 'only-if-cached'], ['Pragma', 'no-cache'], ['Cookie', 'evil=1'], ['Content-Type', 'text/evil'],
        ['Content-Encoding', 'gzip'], ['traceparent', 'evil'], ['Expect', '100-continue'], ['TE', 'trailers'], ['x-ms-meta-evil', 'evil'],
        ['ETag', '"evil"'], ['x-ms-blob-type', 'PageBlob'], ['x-ms-access-tier', 'Cool']),
    # Other names of it, or of something else.
    (map { ["path $_" => { path => $_ }] } './NAME', 'a/../NAME', '%2e/NAME', 'a/%2e%2e/NAME', 'a%2F..%2FNAME', '/NAME', 'NAME/', 'NAME/.', 'NAME.',
        'NAME%00', 'NAME%20', 'NAME;evil', 'NAME%23evil', 'NAME%3Fevil', '..%5cNAME', 'NAME%', 'NAME%zz', '../private/NAME', '../../other/public/NAME'),
    ['its name encoded' => { encoded => 1 }],
    (map { ["query $_" => { query => $_ }] } 'snapshot=', 'Snapshot=2020-01-01T00:00:00.0000000Z', 'snapshot=2020-01-01T00:00:00.0000000Z',
        'versionid=2020-01-01T00:00:00.0000000Z', 'versionid=', 'timeout=0', 'timeout=1', 'evil=evil', 'comp=', 'comp=metadata', 'comp=tags',
        'comp=list&restype=container', 'restype=container', 'action=getStatus', 'sv=2009-09-19', '&&', '='),
    # HTTP/1.1 alone.
    ['a fragment' => raw("GET TARGET#evil HTTP/1.1\n$SELF\n\n")],
    ['a fragment before the query' => raw("GET PATH#evil?QUERY HTTP/1.1\n$SELF\n\n")],
    ['another host' => raw("GET TARGET HTTP/1.1\nHost: evil.example\n\n")],
    ['a host that names an account' => raw("GET TARGET HTTP/1.1\nHost: other.blob.core.windows.net\n\n")],
    ['two hosts' => raw("GET TARGET HTTP/1.1\n$SELF\nHost: evil\n\n")],
    ['no host' => raw("GET TARGET HTTP/1.1\n\n")],
    ['absolute' => raw("GET http://evil.exampleTARGET HTTP/1.1\n$SELF\n\n")],
    ['absolute, of an account' => raw("GET http://other.blob.core.windows.netTARGET HTTP/1.1\n$SELF\n\n")],
    ['absolute, of this account' => raw("GET http://acct.blob.core.windows.net/CONTAINER/NAME?QUERY HTTP/1.1\n$SELF\n\n")],
    ['absolute, https' => raw("GET https://evil.exampleTARGET HTTP/1.1\nHost: evil\n\n")],
    ['HTTP/1.0' => raw("GET TARGET HTTP/1.0\n\n")],
    (map { my ($names, @more) = @$_; ["connection: $names" => raw(join "\n", 'GET TARGET HTTP/1.1', $SELF, "Connection: $names", @more, '', '')] }
        ['x-ms-version', 'x-ms-version: 2009-09-19'], ['Range', 'Range: bytes=0-4'], ['x-ms-range', 'x-ms-range: bytes=0-4'],
        ['If-Match', 'If-Match: "evil"'], ['Host'], ['Authorization', 'Authorization: Bearer evil'], ['close, x-ms-lease-id', 'x-ms-lease-id: evil'],
        ['Origin', 'Origin: https://evil.example'], ['X-HTTP-Method-Override', 'X-HTTP-Method-Override: DELETE'], ['Content-Length, keep-alive'],
        ['upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']),
    ['a body' => raw("GET TARGET HTTP/1.1\n$SELF\nContent-Length: 4\n\nevil")],
    ['a request in a body' => raw("GET TARGET HTTP/1.1\n$SELF\nContent-Length: 4\nTransfer-Encoding: chunked\n\n0\n\nDELETE TARGET HTTP/1.1\n$SELF\n\n")],
    ['a space before the colon' => raw("GET TARGET HTTP/1.1\n$SELF\nRange : bytes=0-4\n\n")],
    ['a folded header' => raw("GET TARGET HTTP/1.1\n$SELF\nx-evil: a\n Range: bytes=0-4\n\n")],
    ['a carriage return alone' => raw("GET TARGET HTTP/1.1\n$SELF\nx-evil: a\rRange: bytes=0-4\n\n")],
    ['a pipeline' => raw("GET TARGET HTTP/1.1\n$SELF\nRange: bytes=0-4\n\nHEAD TARGET HTTP/1.1\n$SELF\nx-ms-version: 2009-09-19\n\n")],
    ['one that leaves' => raw("GET TARGET HTTP/1.1\n$SELF\n\n", leaves => 1)],
    ['one that leaves a range' => raw("GET TARGET HTTP/1.1\n$SELF\nRange: bytes=0-9\n\n", leaves => 1)],
);

# ---- Sending one. ----

sub pieces {
    my ($cell, $attack) = @_;
    my $token = exists $attack->{token} ? $attack->{token} : 'good';
    my $name = ($attack->{path} // 'NAME') =~ s/NAME/$cell->{blob}/gr;
    $name = join '', map { sprintf '%%%02x', ord } split //, $name if $attack->{encoded};
    my $path = "/acct/$cell->{container}" . ($attack->{container} ? '' : "/$name");
    my $query = join '&', grep { defined } defined $token ? $TOKEN{$token}->($cell) : undef, $attack->{query};
    my %headers = (%MODERN, %{ $attack->{headers} // {} });
    my @headers;
    for my $name (sort grep { defined $headers{$_} } keys %headers) {
        push @headers, map { [$name, $_] } ref $headers{$name} ? @{ $headers{$name} } : $headers{$name};
    }
    push @headers, ['Content-Length', length $attack->{body}] if defined $attack->{body};
    push @headers, [split /: /, $origin->bearer("/acct/$cell->{container}"), 2] if $attack->{bearer};
    push @headers, $world->sign({ method => $attack->{method} // 'GET', sign => { key => $KEY, date => Headpond::Differential::Sign::http_date(time) } },
        $path, $query, \@headers) if $attack->{signed};
    return ($path, $query, @headers);
}

sub status_of { my ($text) = @_; return $text =~ m{^HTTP/1\.[01] (\d{3}) } ? $1 : 'closed' }

sub send_h1 {
    my ($cell, $attack) = @_;
    my ($path, $query, @headers) = pieces($cell, $attack);
    my $target = $path . ($query ne '' ? "?$query" : '');
    my $method = $attack->{method} // 'GET';
    my $bytes;
    if (defined $attack->{raw}) {
        my %word = (TARGET => $target, PATH => $path, QUERY => $query, CONTAINER => $cell->{container}, NAME => $cell->{blob});
        $bytes = $attack->{raw} =~ s/(TARGET|PATH|QUERY|CONTAINER|NAME)/$word{$1}/gr;
        # Nothing more comes: an answer, if there is to be one, and the end.
        my $socket = Headpond::Http::connect_to($cell->{pond}{http});
        syswrite $socket, $bytes;
        return 'left' if $attack->{leaves};
        shutdown $socket, 1;
        return status_of((Headpond::Http::read_all($socket, 10))[0]);
    }
    my $lines = join '', map { "$_->[0]: $_->[1]\r\n" } ['Host', $cell->{pond}{http}], @headers;
    $bytes = "$method $target HTTP/1.1\r\n$lines\r\n" . ($attack->{body} // '');
    return $cell->{attacker}->exchange($method, $bytes)->{status};
}

sub send_h2 {
    my ($cell, $attack) = @_;
    my ($path, $query, @headers) = pieces($cell, $attack);
    my $h2 = Headpond::H2->connect($cell->{pond}{http});
    my $target = $path . ($query ne '' ? "?$query" : '');
    my @fields = (':method', $attack->{method} // 'GET', ':scheme', 'http', ':authority', $cell->{pond}{http}, ':path', $target);
    my $body = $attack->{body} // '';
    my $stream = $h2->request(Headpond::H2::fields(@fields, map { (lc $_->[0], $_->[1]) } @headers), $body eq '' ? 0x5 : 0x4);
    $h2->send(Headpond::H2::frame(DATA => 1, $stream, $body)) if $body ne '';
    my $status;
    my $end = $h2->wait_frame(sub {
        my ($frame) = @_;
        return 1 if $frame->{type} eq 'GOAWAY';
        return 0 if $frame->{stream} != $stream;
        $status //= Headpond::H2::status_of($frame->{payload}) if $frame->{type} eq 'HEADERS';
        return $frame->{type} eq 'RST_STREAM' || ($frame->{type} =~ /^(HEADERS|DATA)$/ && $frame->{flags} & 1);
    });
    return $status // $end->{type};
}

# ---- The victim. ----

my @READS = (['GET'], ['HEAD'], ['GET', ['Range', 'bytes=100-299']]);

sub victim_headers { my ($read) = @_; return (['x-ms-version', $VERSION], @{$read}[1 .. $#$read]) }

sub victim_text {
    my ($cell, $read, $address) = @_;
    return $world->write_out({ method => $read->[0], container => $cell->{container}, blob => $cell->{blob}, query => $cell->{victim},
        headers => [victim_headers($read)] }, { address => $address, style => 'path' });
}

sub differences {
    my ($read, $protocol, $truth, $reply) = @_;
    my $what = join ' ', @$read > 1 ? 'ranged' : (), $read->[0], 'over', $protocol;
    return map { "$what, $_->[0]: $_->[2], not $_->[1]" } Headpond::Differential::Compare::differences($truth, $reply);
}

# What the victim is told over HTTP/1.1 that the origin would not tell.
sub wrongs {
    my ($cell) = @_;
    my @found;
    for my $read (@READS) {
        my $truth = $direct->exchange($read->[0], victim_text($cell, $read, $origin->{address}));
        push @found, "the origin: $truth->{status}" if $truth->{status} !~ /^20[06]$/;
        push @found, differences($read, 'HTTP/1.1', $truth, $cell->{pond}{wire}->exchange($read->[0], victim_text($cell, $read, $cell->{pond}{http})));
        push @{ $cell->{truths} }, [$read, $truth];
    }
    return @found;
}

# The same over HTTP/2, of many cells by one curl, a connection for all (over TLS: with prior knowledge curl 7.88 cannot use one
# again).
sub look_over_h2 {
    my (@cells) = @_;
    my $dir = Headpond->folder;
    my @reads = map { my $cell = $_; map { [$cell, @$_] } @{ $cell->{truths} } } @cells;
    open my $file, '>', "$dir/config" or die;
    for my $i (0 .. $#reads) {
        my ($cell, $read) = @{ $reads[$i] };
        my $url = "https://$cell->{pond}{https}/acct/$cell->{container}/$cell->{blob}" . join '', map { "?$_" } @{ $cell->{victim} };
        my @lines = (qq(url = "$url"), qq(noproxy = "*"), 'http2', qq(cacert = "$Headpond::tls{certificate}"), 'silent', qq(dump-header = "$dir/head$i"),
            $read->[0] eq 'HEAD' ? ('head', 'output = /dev/null') : qq(output = "$dir/body$i"), map { qq(header = "$_->[0]: $_->[1]") } victim_headers($read));
        print $file join "\n", $i ? 'next' : (), @lines, '';
    }
    close $file;
    Headpond::Process->start(command => ['curl', '-K', "$dir/config"], log => "$dir/log")->wait_end(60);
    for my $i (0 .. $#reads) {
        my ($cell, $read, $truth) = @{ $reads[$i] };
        my $reply = Headpond::Http::parse(Headpond::Process::slurp("$dir/head$i"));
        $reply->{body} = Headpond::Process::slurp("$dir/body$i");
        push @{ $cell->{found} }, differences($read, 'HTTP/2', $truth, Headpond::Differential::Compare::from_http($reply));
    }
}

# ---- All of them. ----

# Half of the blobs have what overrides would replace, the others have nothing that could hide them; which half is mixed over
# states and protocols.
sub make_blob {
    my ($cell) = @_;
    my %rich = ('header-Content-Language' => 'de', 'header-Content-Encoding' => 'zstd', 'header-Content-Disposition' => 'attachment',
        'header-Cache-Control' => 'max-age=60', type => 'text/x-real');
    $origin->blob("/acct/$cell->{container}/$cell->{blob}", size => $SIZE, seed => $cell->{serial}, md5 => 'auto', 'meta-owner' => 'victim',
        unpack('%32b*', pack 'N', $cell->{serial}) % 2 ? %rich : ());
}

my $cells = 0;

sub run_cell {
    my ($pond, $container, $name, $attack, $state, $proto) = @_;
    $serial++;
    my $cell = { pond => $pond, container => $container, blob => "b$serial", serial => $serial, attacker => $pond->{attacker},
        name => "$name, $state, $proto" };
    $cell->{victim} = $container eq 'public' ? [] : [service($cell, st => '2020-01-01T00:00:00Z')];
    make_blob($cell);
    my @found;
    push @found, map { "before: $_" } wrongs($cell) if $state eq 'hot';
    delete $cell->{truths};
    my $etag = $origin->describe("/acct/$container/$cell->{blob}")->{etag};
    my $status = $proto eq 'h1' ? send_h1($cell, $attack) : send_h2($cell, $attack);
    my $public = $container eq 'public' && ($attack->{token} // '') eq '' && !$attack->{method}; # anybody may read that
    push @found, "the request: $status, not refused" if $attack->{refused} && !$public && $status !~ /^(4\d\d|RST_STREAM|GOAWAY)$/;
    push @found, 'the request: no answer' if $status eq 'silent' || $status eq '0';
    push @found, 'the blob is another' if $origin->describe("/acct/$container/$cell->{blob}")->{etag} ne $etag;
    $cell->{found} = [@found, wrongs($cell)];
    return $cell;
}

sub conclude {
    my (@cells) = @_;
    look_over_h2(@cells);
    for (@cells) {
        ok(!@{ $_->{found} }, $_->{name}) or diag(join "\n", @{ $_->{found} });
        $cells++;
    }
}

for my $set (['origin', 'private'], ['origin', 'public'], ['key', 'private']) {
    my ($mode, $container) = @$set;
    my $dir = Headpond->folder;
    Headpond::Process::spew("$dir/key", "$KEY\n");
    my %terms = (authorize => $mode, $mode eq 'key' ? (key_file => "$dir/key") : (), freshness => '3600s', authorize_ttl => '3600s');
    my $pond = Headpond->start(config => { accounts => [{ name => 'acct', origin => "http://$origin->{address}/acct", %terms },
        { name => 'other', origin => "http://$origin->{address}/other" }] });
    $pond->{$_} = Headpond::Differential::Wire->new($pond->{http}) for qw(wire attacker);
    subtest "authorize: $mode, $container" => sub {
        my @cells;
        for (@ATTACKS) {
            my ($name, $attack) = @$_;
            for my $state (qw(cold hot)) {
                push @cells, map { run_cell($pond, $container, $name, $attack, $state, $_) } 'h1', defined $attack->{raw} ? () : 'h2';
            }
            conclude(splice @cells) if @cells >= 40;
        }
        conclude(@cells);
    };
    $pond->stop;
}
note("$cells cells");

done_testing();
