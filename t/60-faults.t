# SPDX-License-Identifier: Apache-2.0
# What an origin can do to us, and clients too: ends are honest (I5), retries bounded, one bad transfer is nobody else's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
my $pond = Headpond->start(origin => $origin, config => { first_byte_timeout => '2s', stall_timeout => '2s', connect_timeout => '2s' });

my $count = 0;
# A fresh blob with a fault on it: its name.
sub faulty {
    my ($size, %fault) = @_;
    my $name = 'f' . ++$count;
    $origin->blob("/acct/data/$name", size => $size, seed => $count);
    $origin->fault(path => "/acct/data/$name", %fault) if %fault;
    return $name;
}

sub read_one {
    my ($name, $size, %o) = @_;
    my ($seed) = $name =~ /(\d+)/;
    return $pond->client('one', blob => "$name:$size:$seed", %o);
}

# Nothing wrong was sent: all right, or an honest error, or a reply that breaks off.
sub honest {
    my ($what, $got, $size) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $whole = ($got->{status} // 0) == 200 && !$got->{broke_off} && $got->{bytes} == $size;
    my $told = ($got->{status} // 0) >= 500;
    ok($got->{mismatch_at} == -1 && ($whole || $told || $got->{broke_off}), "$what: honest") or diag(explain($got));
    return $whole ? 'whole' : $told ? 'told' : 'broken';
}

# After the fault everything is as it should be.
sub recovered {
    my ($what, $name, $size) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $origin->clear_faults;
    my $got = read_one($name, $size);
    ok($got->{status} == 200 && $got->{bytes} == $size && !$got->{broke_off}, "$what: whole afterwards") or diag(explain($got));
}

my $SIZE = 6 * $MIB + 9;
my @faults = (
    ['a body cut short at once', { truncate_after => 0, times => 1 }], ['a body cut short', { truncate_after => 3 * $MIB, times => 1 }],
    ['a body cut short again and again', { truncate_after => $MIB + 1, times => 100 }],
    ['a reset at once', { reset_after => 0, times => 1 }], ['a reset in the body', { reset_after => 2 * $MIB, times => 1 }],
    ['resets for ever', { reset_after => 100_000, times => 1000 }],
    ['a stall in the body', { stall_after => 2 * $MIB, times => 1 }], ['a stall before the body', { stall_after => 0, times => 1 }],
    ['silence', { first_byte_ms => 5000, times => 1 }],
    ['a Content-Range off by one', { wrong_content_range => 1, times => 100 }], ['a length off by one', { wrong_length => 1, times => 100 }],
    ['an ETag that was not asked for', { wrong_etag => 1, times => 1 }], ['an ETag that is another each time', { wrong_etag => 1, skip => 1, times => 100 }],
    ['no ETag', { no_etag => 1, times => 100 }], ['a chunked body', { chunked => 1, times => 100 }],
    ['garbage', { garbage => 1, times => 1 }], ['garbage for ever', { garbage => 1, times => 100 }],
    ['a close before the reply', { close_before_reply => 1, times => 1 }], ['closes for ever', { close_before_reply => 1, times => 100 }],
    ['an interim reply', { interim => 1, times => 100 }], ['headers of 2 MiB', { huge_headers => 2 * $MIB, times => 100 }],
    ['500 once', { status => 500, times => 1 }], ['503 once', { status => 503, times => 1, retry_after => 1 }],
    ['500 for ever', { status => 500, times => 100 }], ['503 for ever', { status => 503, times => 100 }],
);
my %must_be_whole = map { $_ => 1 } ('an interim reply', '500 once', '503 once', 'a close before the reply');

subtest 'a length that no blob has' => sub {
    $origin->blob('/acct/data/endless', size => '900000000000000000', seed => 3);
    for my $range ('bytes=0-63', 'bytes=72057594037927936-72057594037927999', 'bytes=899999999999999900-') {
        my $reply = $pond->get('/acct/data/endless', range => $range, timeout => 20);
        is($reply->{status}, 206, "$range is passed through");
        cmp_ok(length $reply->{body}, '>=', 64, 'its bytes');
        like($reply->{headers}{'cache-status'}, qr/bypass; detail="large-record"/, 'and not kept');
    }
};

for my $proto (qw(h1 h2s)) {
    subtest "$proto: an origin's faults" => sub {
        for (@faults) {
            my ($what, $fault) = @$_;
            my $name = faulty($SIZE, %$fault);
            $origin->reset_stats;
            my $how = honest($what, read_one($name, $SIZE, proto => $proto, timeout => 60), $SIZE);
            is($how, 'whole', "$what: not even noticed") if $must_be_whole{$what};
            # A fill that moves on may ask again where it broke off; one that does not gives up.
            my $most = 30 + ($fault->{reset_after} ? $SIZE / $fault->{reset_after} : 0);
            cmp_ok($origin->path_stats("/acct/data/$name")->{requests}, '<=', $most, "$what: the origin is not hammered");
            recovered($what, $name, $SIZE);
        }
    };
}

subtest 'an error of ours' => sub {
    my $name = faulty($SIZE, close_before_reply => 1, times => 100);
    my $reply = $pond->get("/acct/data/$name");
    like($reply->{status}, qr/^50[234]$/, "status $reply->{status}");
    like($reply->{body}, qr{<Error><Code>\w+</Code><Message>}, 'XML');
    ok($reply->{headers}{'x-ms-error-code'}, 'x-ms-error-code');
    like($reply->{headers}{'proxy-status'}, qr/^headpond; error=\w+/, 'Proxy-Status');
    my $id = $reply->{headers}{'x-ms-request-id'};
    ok($pond->wait_log(qr/ origin-retry account=acct host=\S+ request=\Q$id\E reason=/), 'a log line for a retry names the reply');
    ok($pond->wait_log(qr/ origin-failed account=acct host=\S+ request=\Q$id\E status=/), 'and one for the failure');
    cmp_ok($pond->metric('headpond_origin_retries_total'), '>', 0, 'retries were counted');
    $origin->clear_faults;
};

subtest 'the log calls a request as its client does' => sub {
    my $name = faulty(100, close_before_reply => 1, times => 100);
    my @mine = (headers => ['x-ms-client-request-id: my-own-name']);
    $pond->get("/acct/data/$name", @mine);
    ok($pond->wait_log(qr/ origin-failed .* request=my-own-name status=/), 'a read');
    $pond->put("/acct/data/$name", body => 'x', headers => ['x-ms-client-request-id: my-own-write', 'x-ms-blob-type: BlockBlob']);
    ok($pond->wait_log(qr/ origin-failed .* request=my-own-write status=/), 'a write');
    $origin->clear_faults;
    $origin->fault(path => "/acct/data/$name", close_before_reply => 1, times => 1);
    is($pond->get("/acct/data/$name?mark=retried", headers => ['x-ms-lease-id: 1'])->{status}, 200, 'what passes through is tried again');
    my ($entry) = $pond->access(1, sub { ($_[0]{target} // '') =~ /mark=retried/ });
    is($entry->{retries}, 1, 'and the access log says how often');
};

subtest 'an internal error' => sub {
    my $name = faulty($SIZE, garbage => 1, times => 100);
    my $reply = $pond->get("/acct/data/$name");
    is($reply->{headers}{'x-ms-error-code'}, 'InternalError', 'the code');
    is($reply->{status}, 500, 'the status');
    my $id = $reply->{headers}{'x-ms-request-id'};
    ok($pond->wait_log(qr/ warn internal-error client=127\.0\.0\.1:\d+ account=acct request=\Q$id\E reason=bad-reply: \w/), 'has a log line with why');
    $origin->clear_faults;
};

subtest 'the origin\'s own error' => sub {
    my $name = faulty($SIZE, status => 503, times => 100, retry_after => 1);
    my $reply = $pond->get("/acct/data/$name");
    is($reply->{status}, 503, 'passes');
    is($reply->{headers}{'x-ms-error-code'}, 'ServerBusy', 'with its code');
    like($reply->{headers}{'retry-after'} // '', qr/^\d+$/, 'and Retry-After');
    $origin->clear_faults;
};

subtest 'an origin that is down' => sub {
    my $gone = Headpond->start(origin => undef, config => { accounts => [{ name => 'acct', origin => 'http://127.0.0.1:1/acct' }] });
    my $reply = $gone->get('/acct/data/x');
    like($reply->{status}, qr/^50[234]$/, 'GET: an honest error');
    like($gone->put('/acct/data/x', body => 'x', headers => ['x-ms-blob-type: BlockBlob'])->{status}, qr/^50[234]$/, 'PUT: too');
    is($gone->admin_get('/healthz')->{status}, 200, 'headpond lives');
    $gone->stop;
};

subtest 'a fault of one reader\'s fill among many' => sub {
    my $name = faulty(32 * $MIB, truncate_after => 5 * $MIB, times => 1);
    my ($seed) = $name =~ /(\d+)/;
    my $got = $pond->client('readers', blob => "$name:" . 32 * $MIB . ":$seed", readers => 32, tolerate_errors => []);
    is($got->{mismatches}, 0, 'no wrong byte');
    is($got->{failures}, 0, 'no dishonest end') or diag(explain($got));
    recovered('afterwards', $name, 32 * $MIB);
};

subtest 'clients that go away' => sub {
    my @names = map { faulty(16 * $MIB, rate => 4 * $MIB, times => 10) } 1 .. 8;
    my @jobs = map { $pond->begin("/acct/data/$_", proto => $_ =~ /[13579]$/ ? 'h2c' : 'h1') } @names;
    for (@jobs) {
        my $job = $_;
        Headpond::Process::wait_until(sub { $job->received > 0 });
        $job->cancel;
    }
    ok($pond->wait_metric(sub { $_[0] == 0 }, 'headpond_fills_inflight'), 'their fills end') ;
    ok($pond->wait_metric(sub { $_[0] == 0 }, 'headpond_origin_inflight'), 'so do the origin requests');
    recovered('afterwards', $_, 16 * $MIB) for @names[0, 1];
};

subtest 'a client that takes nothing is dropped' => sub {
    my $strict = Headpond->start(origin => $origin, config => { send_timeout => '1s' });
    my $name = faulty(64 * $MIB);
    my $socket = $strict->connect;
    syswrite $socket, "GET /acct/data/$name HTTP/1.1\r\nHost: x\r\n\r\n";
    ok($strict->wait_metric(1, 'headpond_client_bytes_total'), 'it is being answered');
    ok($strict->wait_metric(sub { $_[0] == 0 }, 'headpond_client_connections'), 'and dropped');
    $strict->stop;
};

$pond->stop;
done_testing();
