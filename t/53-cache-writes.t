# SPDX-License-Identifier: Apache-2.0
# cache_writes: what was just written is read from here, if and only if it is what the origin has.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $MIB = 1 << 20;
my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
my $sas = $origin->sas('/acct/data', sp => 'rcwd');
my $pond = Headpond->start(origin => $origin, account => { cache_writes => 'on', freshness => '3600s' });
my @BLOCK = ('x-ms-blob-type: BlockBlob');

sub random_bytes {
    my ($size) = @_;
    open my $random, '<:raw', '/dev/urandom' or die;
    read($random, my $bytes, $size) == $size or die;
    return $bytes;
}
sub kept { my ($result) = @_; return $pond->metric('headpond_writes_kept_total', result => $result) // 0 }
sub asked { return $pond->metric('headpond_origin_requests_total') }
sub put { my ($path, $body, %o) = @_; return $pond->put($path, sas => $sas, headers => [@{ $o{type} // \@BLOCK }, @{ $o{headers} // [] }], body => $body, proto => $o{proto} // 'h1') }

# Writes, waits until it is decided, and reads: how many bytes of data the origin was asked for.
sub write_and_read {
    my ($what, $path, $body, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $before = kept('kept') + kept('dropped');
    my $reply = put($path, $body, %o);
    is($reply->{status}, $o{status} // 201, "$what: written") or diag($reply->{body});
    $pond->wait_metric(sub { kept('kept') + kept('dropped') > $before }, 'headpond_writes_kept_total') if $o{decided} // 1;
    $pond->settle;
    $origin->reset_stats;
    my $got = $pond->get($path, sas => $sas, proto => $o{proto} // 'h1');
    is($got->{status}, 200, "$what: read");
    ok($got->{body} eq ($o{expect} // $body), "$what: the right bytes");
    return $origin->data_requests;
}

for my $proto (Headpond->protocols) {
    subtest $proto => sub {
        for my $size (1, 1000, $MIB - 1, $MIB, $MIB + 1, 5 * $MIB + 7) {
            is(write_and_read("$size B", "/acct/data/$proto-$size", random_bytes($size), proto => $proto), 0, "$size B: no data was asked for");
        }
        my $whole = $pond->get("/acct/data/$proto-" . (5 * $MIB + 7), sas => $sas, proto => $proto);
        is($whole->{headers}{'cache-status'}, 'headpond; hit', 'and now it is a hit');
        my $body = random_bytes(3 * $MIB);
        is(write_and_read('another body over it', "/acct/data/$proto-1000", $body, proto => $proto), 0, 'the new one was kept');
    };
}

subtest 'what is no Put Blob is not kept' => sub {
    my $before = kept('kept') + kept('dropped');
    put('/acct/data/block?comp=block&blockid=QUFB', random_bytes(1000), type => []);
    put('/acct/data/typeless', random_bytes(1000), type => []);
    put('/acct/data/structured', random_bytes(1000), headers => ['x-ms-structured-body: XSM/1.0; properties=crc64']);
    put('/acct/data/cpk', random_bytes(1000), headers => ['x-ms-encryption-key: AAAA']);
    put('/acct/data/empty', '');
    is(kept('kept') + kept('dropped'), $before, 'none of them');
};

subtest 'what the origin refused' => sub {
    my $old = random_bytes(2 * $MIB);
    write_and_read('at first', '/acct/data/refused', $old);
    $origin->fault(path => '/acct/data/refused', status => 403, times => 1);
    my $before = kept('dropped');
    is(put('/acct/data/refused', random_bytes(2 * $MIB))->{status}, 403, 'refused');
    $pond->wait_metric(sub { kept('dropped') > $before }, 'headpond_writes_kept_total', result => 'dropped');
    ok($pond->get('/acct/data/refused', sas => $sas)->{body} eq $old, 'the old bytes stand');
};

subtest 'what the origin has otherwise' => sub {
    my $ours = random_bytes(2 * $MIB);
    put('/acct/data/overtaken', $ours);
    $origin->blob('/acct/data/overtaken', size => 2 * $MIB, seed => 9); # somebody else, before anybody has read
    my $got = $pond->get('/acct/data/overtaken', sas => $sas);
    my $direct = Headpond::Http::parse((Headpond::Http::raw($origin->{address}, "GET /acct/data/overtaken HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n", 20))[0]);
    ok($got->{body} eq $direct->{body}, 'the origin\'s bytes, not what was kept');
};

subtest 'a client that leaves in the middle' => sub {
    my $before = kept('dropped');
    my $socket = $pond->connect;
    print $socket "PUT /acct/data/aborted?$sas HTTP/1.1\r\nHost: h\r\n$BLOCK[0]\r\nContent-Length: 3000000\r\n\r\n" . 'x' x 1_500_000;
    close $socket;
    $pond->wait_metric(sub { kept('dropped') > $before }, 'headpond_writes_kept_total', result => 'dropped');
    is($pond->get('/acct/data/aborted', sas => $sas)->{status}, 404, 'there is no such blob');
};

subtest 'a length that no blob has' => sub {
    put('/acct/data/other', random_bytes(1000));
    for my $length ('9000000000000000000', 5000 * $MIB, 5000 * $MIB + 1) {
        my $asked = asked();
        my $socket = $pond->connect;
        print $socket "PUT /acct/data/huge HTTP/1.1\r\nHost: h\r\n$BLOCK[0]\r\nContent-Length: $length\r\n\r\n" . 'x' x 1000;
        ok(Headpond::Process::wait_until(sub { $pond->metric('headpond_origin_inflight') || asked() > $asked }), "$length B are on their way");
        close $socket;
        ok($pond->wait_metric(sub { $_[0] == 0 }, 'headpond_origin_inflight'), 'and given up');
    }
    my $began = time;
    is($pond->request('/acct/data/other', method => 'DELETE', sas => $sas)->{status}, 202, 'others can write');
    ok(time - $began < 5, 'without waiting for what it takes to forget');
    is($pond->get('/acct/data/other', sas => $sas)->{status}, 404, 'and have written');
};

subtest 'after a restart' => sub {
    my $body = random_bytes(4 * $MIB + 1);
    put('/acct/data/checkpoint', $body);
    $pond->settle;
    $pond->stop;
    my $again = Headpond->start(origin => $origin, dir => $pond->{dir}, account => { cache_writes => 'on', freshness => '3600s' });
    $origin->reset_stats;
    ok($again->get('/acct/data/checkpoint', sas => $sas)->{body} eq $body, 'a checkpoint is read from the disk');
    is($origin->data_requests, 0, 'no data was asked for');
    $again->stop;
};

done_testing();
