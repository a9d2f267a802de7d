# SPDX-License-Identifier: Apache-2.0
# What an operator sees: metrics, health, the access log, levels, and an orderly end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use IO::Select;
use Test::More;

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->container('acct/data');
my $sas = $origin->sas('/acct/data', sp => 'rcw');
$origin->blob('/acct/data/x', size => 3 * $MIB, seed => 1);
my $began = time;
my $pond = Headpond->start(origin => $origin);

subtest 'metrics' => sub {
    $pond->get('/acct/data/x', sas => $sas);
    $pond->settle;
    $pond->get('/acct/data/x', sas => $sas);
    $pond->get('/acct/data/none', sas => $sas);
    my $reply = $pond->admin_get('/metrics');
    is($reply->{status}, 200, 'status');
    like($reply->{headers}{'content-type'}, qr{^text/plain; version=0\.0\.4}, 'Content-Type');
    my (%typed, @bad);
    for (split /\n/, $reply->{body}) {
        if (/^# TYPE (\w+) (counter|gauge|histogram)$/) { $typed{$1} = $2 }
        elsif (/^# HELP \w+ .+/) { }
        elsif (/^(\w+?)(_bucket|_sum|_count)?(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? -?[\d.e+-]+(?:Inf|NaN)?$/ && ($typed{$1} || $typed{ $1 . ($2 // '') })) { }
        else { push @bad, $_ }
    }
    is(scalar @bad, 0, 'well-formed') or diag(@bad[0 .. ($#bad > 4 ? 4 : $#bad)]);
    ok($typed{$_}, $_) for qw(headpond_requests_total headpond_client_bytes_total headpond_origin_requests_total headpond_origin_bytes_total
        headpond_store_bytes headpond_store_blocks headpond_fills_inflight headpond_memory_bytes headpond_request_seconds);
    is($pond->metric('headpond_requests_total', method => 'GET', cache => 'hit', code => '200'), 1, 'a hit');
    is($pond->metric('headpond_requests_total', method => 'GET', cache => 'miss', code => '200'), 1, 'a miss');
    is($pond->metric('headpond_requests_total', code => '404'), 1, 'a 404');
    my %data = (account => 'acct', container => 'data');
    is($pond->metric('headpond_container_requests_total', %data, cache => 'hit'), 1, 'the hit is its container\'s');
    is($pond->metric('headpond_container_requests_total', %data, cache => 'miss'), 1, 'so is the miss');
    is($pond->metric('headpond_container_bytes_total', %data, source => 'origin'), 3 * $MIB, 'whose bytes came from the origin');
    is($pond->metric('headpond_container_bytes_total', %data, source => 'store'), 3 * $MIB, 'the hit\'s from the store');
    is($pond->metric('headpond_container_bytes_total', %data, source => 'flight'), 0, 'and nobody read along');
    cmp_ok($pond->metric('headpond_client_bytes_total'), '>=', 6 * $MIB, 'bytes to clients');
    is($pond->metric('headpond_origin_bytes_total', account => 'acct') >= 3 * $MIB, 1, 'bytes from the origin');
    is($pond->metric('headpond_store_blocks'), 3, 'blocks');
    my ($version) = qx($Headpond::build/headpond --version) =~ /^headpond (\S+)$/;
    is($pond->metric('headpond_build_info', version => $version), 1, 'what runs');
    is($pond->metric('headpond_memory_limit_bytes'), 256 * $MIB, 'the bound on memory');
    my ($resident) = Headpond::Process::slurp('/proc/' . $pond->{process}{pid} . '/status') =~ /^VmRSS:\s+(\d+) kB/m;
    cmp_ok(abs($pond->metric('process_resident_memory_bytes') - 1024 * $resident), '<', 8 * $MIB, 'resident memory');
    cmp_ok(abs($pond->metric('process_start_time_seconds') - $began), '<=', 30, 'since when');
    my ($room, $size) = ($pond->metric('headpond_store_capacity_bytes'), 1024 * $MIB);
    ok($room > 0.8 * $size && $room < $size, 'room for blocks');
};

subtest 'the README tells of the store' => sub {
    my $source = $ENV{HEADPOND_SOURCE} // "$FindBin::Bin/..";
    my ($readme, $events, $metrics) = map { Headpond::Process::slurp("$source/$_") } 'README.md', 'src/base/log_events.h', 'src/base/metric_table.h';
    my @events = $events =~ /"(store-[\w-]+)"/g;
    cmp_ok(scalar @events, '>', 10, 'the store has events');
    like($readme, qr/^\| `$_` \| .+ \| .+ \|$/m, "what $_ means and what is to be done") for @events;
    my @metrics = $metrics =~ /"(headpond_store_\w+)", "path/g;
    cmp_ok(scalar @metrics, '>', 10, 'disks have metrics');
    like($readme, qr/`$_\b/, "$_ is named") for @metrics;
};

# What a hit ratio in bytes is made of, where one request has bytes from several places.
subtest 'where a container\'s bytes come from' => sub {
    $origin->container('acct/parts');
    my $sas = $origin->sas('/acct/parts', sp => 'r');
    my $from = sub {
        my ($container) = @_;
        return { map { $_ => $pond->metric('headpond_container_bytes_total', container => $container, source => $_) / $MIB } qw(store flight origin) };
    };
    $origin->blob('/acct/parts/some', size => 8 * $MIB, seed => 3);
    $pond->get('/acct/parts/some', sas => $sas, range => 'bytes=0-' . (3 * $MIB - 1));
    $pond->settle;
    is_deeply($from->('parts'), { store => 0, flight => 0, origin => 3 }, 'a part that nobody has read');
    my $reply = $pond->get('/acct/parts/some', sas => $sas);
    is($reply->{headers}{'cache-status'}, 'headpond; fwd=partial', 'more than is there');
    is_deeply($from->('parts'), { store => 3, flight => 0, origin => 8 }, 'what was there is the store\'s');
    my @md5 = ('x-ms-range-get-content-md5: true');
    $origin->blob('/acct/parts/summed', size => 3 * $MIB, seed => 4);
    $pond->get('/acct/parts/summed', sas => $sas, range => 'bytes=0-' . (2 * $MIB - 1), headers => \@md5);
    is_deeply($from->('parts'), { store => 3, flight => 0, origin => 10 }, 'what is read twice for its checksum counts once');

    $origin->container('acct/together');
    $sas = $origin->sas('/acct/together', sp => 'r');
    $origin->blob('/acct/together/slow', size => 4 * $MIB, seed => 5);
    $origin->fault(path => '/acct/together/slow', rate => 4 * $MIB, times => 1);
    my @readers = map { $pond->start_client('one', container => 'acct/together', blob => 'slow:' . 4 * $MIB . ':5', sas => $sas) } 1 .. 3;
    is($_->finish->{bytes}, 4 * $MIB, 'one of three that read together') for @readers;
    $origin->clear_faults;
    my $together = $from->('together');
    is($together->{origin}, 4, 'one of them had it fetched');
    is($together->{flight} + $together->{store}, 8, 'the others had what came for that one') or diag(explain($together));
};

subtest 'health' => sub {
    is($pond->admin_get('/healthz')->{status}, 200, 'healthz');
    is($pond->admin_get('/readyz')->{status}, 200, 'readyz');
    is($pond->admin_get('/nothing')->{status}, 404, 'what is not there');
    is($pond->admin_get('/metrics', 'POST')->{status}, 405, 'what is not asked that way');
    is($pond->admin_get('/metrics', 'HEAD')->{body}, '', 'HEAD has no body');
    unlike($pond->admin_get('/metrics')->{body}, qr/data\/x|"x"/, 'no blob is named');
};

subtest 'access log' => sub {
    my $marked = "mark=1&$sas";
    for my $proto (Headpond->protocols) {
        $pond->get("/acct/data/x?mark=$proto", proto => $proto, sas => $sas, range => 'bytes=0-99');
    }
    $pond->raw("GET /acct/data/x?mark=bad HTTP/1.1\r\n\r\n");
    my @entries = $pond->access(4, sub { ($_[0]{target} // '') =~ /mark=h/ });
    is(scalar @entries, 4, 'an entry a request');
    for (@entries) {
        my $proto = $1 if $_->{target} =~ /mark=(\w+)/;
        is($_->{method}, 'GET', "$proto: method");
        is($_->{status}, 206, "$proto: status");
        is($_->{sent}, 100, "$proto: bytes");
        like($_->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/, "$proto: time");
        like($_->{client}, qr/^127\.0\.0\.1/, "$proto: client");
        like($_->{target}, qr/sig=x+(&|$)/, "$proto: the signature is blotted out");
        ok(defined $_->{cache}, "$proto: cache");
    }
    ok(!grep({ $_->{broken} } $pond->access), 'every line is JSON');

    # What an SDK's error prints, and what it sent, find the line.
    my @sent = ('x-ms-client-request-id: it-is-me', 'User-Agent: azsdk-test/1 "q"', 'x-ms-range: bytes=1-2');
    my ($reply, $entry);
    for my $case (['hit' => "/acct/data/x?n=1"], ['relayed' => "/acct/data/x?n=2&comp=metadata"], ['refused' => '/no!account/data/x?n=3']) {
        my ($what, $target) = @$case;
        $reply = $pond->get($target, sas => $sas, headers => \@sent);
        my ($n) = $target =~ /(n=\d)/;
        ($entry) = $pond->access(1, sub { ($_[0]{target} // '') =~ /\b$n\b/ });
        is($entry->{request_id}, $reply->{headers}{'x-ms-request-id'}, "$what: the reply's x-ms-request-id");
        is($entry->{client_request_id}, 'it-is-me', "$what: the client's");
        is($entry->{agent}, 'azsdk-test/1 "q"', "$what: its agent");
        is($entry->{range}, 'bytes=1-2', "$what: its range");
    }
};

subtest 'SIGHUP opens the access log anew' => sub {
    my $turned = Headpond->start(origin => $origin);
    my $file = "$turned->{dir}/access.log";
    $turned->get('/acct/data/x?n=1', sas => $sas);
    $turned->access(1);
    rename $file, "$file.1" or die $!;
    $turned->{process}->signal('HUP');
    ok($turned->wait_log(qr/ info access-log file=\Q$file\E: opened anew$/m), 'the log tells of it, without a request');
    ok($turned->wait_metric(1, 'headpond_access_log_reopens_total', result => 'opened'), 'a metric too');
    $turned->get('/acct/data/x?n=2', sas => $sas);
    is(scalar $turned->access(1), 1, 'the new file has the new line');
    unlink $file;
    mkdir $file or die $!;
    $turned->{process}->signal('HUP');
    ok($turned->wait_log(qr/ error access-log-failed file=\Q$file\E: cannot be opened anew: /), 'a failure is an error');
    ok($turned->wait_metric(1, 'headpond_access_log_reopens_total', result => 'failed'), 'and counted');
    $turned->stop;
};

subtest 'what the log says at which level' => sub {
    my $quiet = Headpond->new(origin => $origin, config => { log_level => 'debug', admin => '127.0.0.1:0' });
    $quiet->run;
    $quiet->get('/acct/data/x', sas => $sas, headers => ['Authorization: Bearer NoToKeNoFours']);
    push @Headpond::Origin::secrets, 'NoToKeNoFours';
    like($quiet->log_text, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z info start version=\S+ config=\Q$quiet->{dir}\E\/headpond\.yaml /m, 'a line is time, level, event');
    $quiet->stop;
};

subtest 'SIGTERM drains' => sub {
    my $draining = Headpond->start(origin => $origin, config => { drain_timeout => '20s' });
    $origin->blob('/acct/data/slow', size => 8 * $MIB, seed => 2);
    $origin->fault(path => '/acct/data/slow', rate => 4 * $MIB, times => 10);
    my $reader = $draining->start_client('one', blob => 'slow:' . 8 * $MIB . ':2', sas => $sas);
    $draining->wait_metric(1, 'headpond_client_bytes_total');
    my $idle = $draining->connect;
    $draining->{process}->signal('TERM');
    ok($draining->wait_log(qr/ drain /), 'the log tells of it');
    my $refused = Headpond::Process::wait_until(sub {
        my $socket = IO::Socket::INET->new(PeerAddr => $draining->{http}, Timeout => 2) or return 1;
        return 0;
    }, 5);
    ok($refused, 'no new connection is taken');
    my $ready = eval { $draining->admin_get('/readyz')->{status} } // 'gone';
    like($ready, qr/^(503|gone)$/, '/readyz says no');
    my $got = $reader->finish;
    is($got->{bytes}, 8 * $MIB, 'what was running ends well') or diag(explain($got));
    $origin->clear_faults;
    $draining->stop;
    unlike($draining->log_text, qr/drain-cut/, 'nothing was cut');
};

subtest 'a drain has an end' => sub {
    my $cut = Headpond->start(origin => $origin, config => { drain_timeout => '500ms' });
    $origin->fault(path => '/acct/data/slow', rate => 100_000, times => 10);
    my @readers = map { $cut->start_client('one', blob => 'slow:' . 8 * $MIB . ':2', sas => $sas, proto => $_, header => 'x-ms-lease-id: 1') }
        qw(h1 h1s h2c);
    ok($cut->wait_metric(3, 'headpond_origin_inflight') && $cut->wait_metric(200_000, 'headpond_client_bytes_total'), 'some run');
    $cut->stop;
    ok($_->finish->{broke_off}, 'what still ran was cut, and says so') for @readers;
    like($cut->log_text, qr/ warn drain-cut requests=3: /, 'the log tells how many');
    $origin->clear_faults;
};

subtest 'a cut in the midst of questions' => sub {
    for my $store (1, 0) {
        my %config = (drain_timeout => '0s', workers => 3);
        $config{store} = undef unless $store;
        my $cut = Headpond->start(origin => $origin, config => \%config);
        my @readers;
        for my $n (1 .. 12) {
            $origin->blob("/acct/data/asked$n", size => $MIB, seed => $n);
            $origin->fault(path => "/acct/data/asked$n", first_byte_ms => 8000, times => 10);
            push @readers, $cut->begin("/acct/data/asked$n", sas => $sas, method => $n % 3 ? 'GET' : 'HEAD');
        }
        $cut->wait_metric(12, 'headpond_origin_inflight');
        $cut->stop;
        $_->finish for @readers;
        $origin->clear_faults;
    }
};

subtest 'sd_notify' => sub {
    require IO::Socket::UNIX;
    require Socket;
    my $dir = Headpond->folder;
    my $socket = IO::Socket::UNIX->new(Type => Socket::SOCK_DGRAM(), Local => "$dir/notify") or die;
    my $served = Headpond->new(origin => $origin);
    local $ENV{NOTIFY_SOCKET} = "$dir/notify";
    $served->run;
    my $select = IO::Select->new($socket);
    my ($said, $text) = ('', '');
    $socket->recv($text, 4096), $said .= "$text\n" while $said !~ /READY=1/ && $select->can_read(5);
    like($said, qr/READY=1/, 'READY=1');
    delete local $ENV{NOTIFY_SOCKET};
    $served->stop;
    $socket->recv($text, 4096), $said .= "$text\n" while $said !~ /STOPPING=1/ && $select->can_read(5);
    like($said, qr/STOPPING=1/, 'STOPPING=1');
};

subtest 'the admin listener takes no nonsense' => sub {
    for my $bytes ("GET\r\n\r\n", "\0" x 1000, "GET /metrics HTTP/1.1\r\n\r\n", 'G' x 200_000) {
        my ($text, $end) = Headpond::Http::raw($pond->{admin}, $bytes, 3);
        like($text, qr{^(HTTP/1\.1 4\d\d .*)?\z}s, 'refused');
    }
    is($pond->admin_get('/healthz')->{status}, 200, 'and it lives');
};

$pond->stop;
done_testing();
