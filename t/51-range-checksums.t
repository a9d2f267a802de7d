# SPDX-License-Identifier: Apache-2.0
# Ranges with their MD5 or CRC64, from the cache, as the service itself answers them: cold, warm and half-warm, at all edges,
# and what it refuses; a crowd of them in bounded memory, and one that reads nothing; what changes between sum and reply.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Differential::Compare;
use Headpond::H2;
use IO::Select;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;
my $MAX = 4 * $MIB;
my $SIZE = 9 * $MIB + 12345;
my %header = (md5 => 'x-ms-range-get-content-md5: true', crc64 => 'x-ms-range-get-content-crc64: true');
my %carries = (md5 => 'content-md5', crc64 => 'x-ms-content-crc64');

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);

sub direct {
    my ($path, %r) = @_;
    return Headpond::Http::request(url => "http://$origin->{address}$path", %r, headers => ['x-ms-version: 2023-11-03', @{ $r{headers} // [] }]);
}

sub through {
    my ($pond, $path, %r) = @_;
    return $pond->request($path, %r, headers => ['x-ms-version: 2023-11-03', @{ $r{headers} // [] }]);
}

# Status, headers and body as the origin gives them.
sub same {
    my ($what, $got, $direct) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @differ = Headpond::Differential::Compare::differences(map { Headpond::Differential::Compare::from_http($_) } $direct, $got);
    ok(!@differ && !$got->{error}, "$what: $direct->{status} and all else")
        or diag(join "\n", "curl $got->{error}", map { "$_->[0]: $_->[2], not $_->[1]" } @differ);
}

my $pond = Headpond->start(origin => $origin);
my @ranges = (
    'bytes=0-0', 'bytes=0-65535', 'bytes=1-1048574', 'bytes=0-1048575', 'bytes=0-1048576', 'bytes=1048575-1048576', 'bytes=1048576-2097151',
    "bytes=7-@{[$MAX + 6]}", "bytes=0-@{[$MAX - 1]}", "bytes=@{[$SIZE - 1]}-@{[$SIZE - 1]}", "bytes=@{[$SIZE - 100]}-", "bytes=@{[$SIZE - $MAX]}-",
    "bytes=@{[$SIZE - 100]}-@{[$SIZE + 100]}",
);
my @refused = (
    ['no range', undef], ['4 MiB and 1', "bytes=0-$MAX"], ['4 MiB and 1, open', "bytes=@{[$SIZE - $MAX - 1]}-"], ['an open range of all', 'bytes=0-'],
    ['past the end', "bytes=$SIZE-"], ['far past the end', "bytes=@{[2 * $SIZE]}-@{[2 * $SIZE + 10]}"],
);

for my $proto (Headpond->protocols) {
    subtest "$proto: cold, then warm" => sub {
        for my $kind (sort keys %header) {
            $origin->blob("/acct/data/$proto-$kind-$_", size => $SIZE, seed => $_, md5 => 'auto', 'meta-a' => 'b') for 0 .. $#ranges;
            for my $i (grep { $kind eq 'md5' || $_ % 2 == 0 } 0 .. $#ranges) {
                my $path = "/acct/data/$proto-$kind-$i";
                my %r = (proto => $proto, headers => ["x-ms-range: $ranges[$i]", $header{$kind}]);
                my $direct = direct($path, headers => $r{headers});
                is(length($direct->{headers}{ $carries{$kind} } // ''), $kind eq 'md5' ? 24 : 12, "$kind of $ranges[$i]: the origin gives one");
                $origin->reset_stats;
                my $cold = through($pond, $path, %r);
                same("$kind of $ranges[$i], cold", $cold, $direct);
                like($cold->{headers}{'cache-status'}, qr/headpond; fwd=(miss|partial)/, 'fetched');
                my $warm;
                Headpond::Process::wait_until(sub {
                    $origin->reset_stats;
                    $warm = through($pond, $path, %r);
                    return $warm->{headers}{'cache-status'} =~ /headpond; hit$/;
                }, 10);
                same("$kind of $ranges[$i], warm", $warm, $direct);
                is($origin->stats->{requests}, 0, 'from the cache');
            }
        }
    };

    subtest "$proto: half-warm" => sub {
        $origin->blob("/acct/data/half-$proto", size => $SIZE, seed => 77);
        through($pond, "/acct/data/half-$proto", range => 'bytes=1048576-2097151');
        $pond->settle;
        my @headers = ('Range: bytes=1000000-4000000', $header{md5});
        my $got = through($pond, "/acct/data/half-$proto", proto => $proto, headers => \@headers);
        same('half-warm', $got, direct("/acct/data/half-$proto", headers => \@headers));
        like($got->{headers}{'cache-status'}, qr/headpond; fwd=partial/, 'some was there');
    };

    subtest "$proto: what is refused" => sub {
        $origin->blob('/acct/data/refused', size => $SIZE, seed => 5);
        $origin->blob('/acct/data/empty', size => 0, seed => 5);
        through($pond, "/acct/data/$_", range => 'bytes=0-9') for qw(refused empty);
        through($pond, '/acct/data/empty');
        my @direct;
        my @cases = map { my ($what, $range) = @$_; map { ["$what, $_", 'refused', $range, $header{$_}] } sort keys %header } @refused;
        push @cases, ['both', 'refused', 'bytes=0-9', values %header], ['both without a range', 'refused', undef, values %header],
            ['both past the end', 'refused', "bytes=$SIZE-", values %header];
        push @cases, map { (["empty, $_", 'empty', 'bytes=0-', $header{$_}], ["empty without a range, $_", 'empty', undef, $header{$_}]) } sort keys %header;
        my @requests = map { my (undef, $blob, $range, @headers) = @$_; ["/acct/data/$blob", [defined $range ? "Range: $range" : (), @headers]] } @cases;
        push @direct, direct($_->[0], headers => $_->[1]) for @requests;
        $origin->reset_stats;
        my $past_the_end = 0;
        for my $i (0 .. $#cases) {
            my $got = through($pond, $requests[$i][0], proto => $proto, headers => $requests[$i][1]);
            same($cases[$i][0], $got, $direct[$i]);
            $past_the_end += $cases[$i][1] eq 'empty' ? 2 : 1 if $got->{status} == 416;
            next if $got->{status} != 400;
            like($got->{body}, qr{<HeaderName>x-ms-range-get-content-(md5|crc64)</HeaderName><HeaderValue>true</HeaderValue>}, "$cases[$i][0]: which header");
            is($got->{headers}{'x-ms-error-code'}, 'InvalidHeaderValue', "$cases[$i][0]: code");
        }
        # A blob may have grown: past its known end, the origin is asked whether it still ends there; twice for an empty one,
        # which has no byte to ask for.
        is($origin->stats->{requests}, $past_the_end, 'the origin is asked only past the end');
        is($origin->data_requests, 0, 'and sends no data');
    };
}

subtest 'conditions come first, HEAD goes past the cache' => sub {
    my $etag = $origin->blob('/acct/data/conditions', size => $SIZE, seed => 9)->{etag};
    through($pond, '/acct/data/conditions', range => 'bytes=0-9');
    for (["If-None-Match: $etag"], ['If-Match: "0xBAD"'], ["If-Match: $etag"]) {
        my @headers = (@$_, 'Range: bytes=0-9', $header{md5});
        same("@$_", through($pond, '/acct/data/conditions', headers => \@headers), direct('/acct/data/conditions', headers => \@headers));
        @headers = (@$_, $header{md5});
        same("@$_ without a range", through($pond, '/acct/data/conditions', headers => \@headers), direct('/acct/data/conditions', headers => \@headers));
    }
    my $head = through($pond, '/acct/data/conditions', method => 'HEAD', headers => [$header{md5}]);
    like($head->{headers}{'cache-status'}, qr/fwd=bypass; detail="?range-md5/, 'HEAD');
};

subtest 'who may not read gets no checksum' => sub {
    $origin->container('acct/private', public => 0);
    my $sas = $origin->sas('/acct/private', sp => 'r');
    $origin->blob('/acct/private/x', size => 1000, seed => 3);
    my @headers = ('Range: bytes=0-9', $header{md5});
    is(through($pond, '/acct/private/x', sas => $sas, headers => \@headers)->{status}, 206, 'who may does');
    my $stranger = through($pond, '/acct/private/x', headers => \@headers);
    isnt($stranger->{status}, 206, 'a stranger does not');
    is($stranger->{headers}{'content-md5'}, undef, 'nor its checksum');
};

subtest 'a range that fails in the middle' => sub {
    my @headers = ("Range: bytes=0-@{[$MAX - 1]}", $header{md5});
    my $cut = { truncate_after => 2 * $MIB, times => 1 };
    for my $proto (Headpond->protocols) {
        my $path = "/acct/data/fails-$proto";
        $origin->blob($path, size => $SIZE, seed => 4);
        $origin->fault(path => $path, %$cut);
        $origin->fault(path => $path, status => 503, times => 1000);
        my $got = through($pond, $path, proto => $proto, headers => \@headers);
        cmp_ok($got->{status}, '>=', 500, "$proto: for good: an error") or diag(explain($got->{headers}));
        is($got->{error}, 0, "$proto: an honest one");
        like($got->{body}, qr{^<\?xml.*<Code>\w+</Code>}, "$proto: in XML");
        is($got->{headers}{'content-md5'}, undef, "$proto: without a checksum");
        $origin->clear_faults;

        $origin->fault(path => "$path-$_", %$cut, $_ eq 'changed' ? (touch_after => $MIB, seed => 8) : ()) for qw(once changed);
        for my $what (qw(once changed)) {
            $origin->blob("$path-$what", size => $SIZE, seed => 4);
            $got = through($pond, "$path-$what", proto => $proto, headers => \@headers);
            same("$proto: $what", $got, direct("$path-$what", headers => \@headers));
        }
        $origin->clear_faults;
    }
};
$pond->stop;

subtest 'a crowd in bounded memory' => sub {
    my $LIMIT = 64 * $MIB;
    my $small = Headpond->start(origin => $origin, config => { memory => '64MiB' });
    $origin->blob('/acct/data/crowd', size => 64 * $MIB, seed => 6);
    my @jobs;
    my $start = sub {
        my ($i) = @_;
        my $first = $i % 60 * $MIB + $i;
        return $small->begin('/acct/data/crowd', proto => (Headpond->protocols)[$i % 4], timeout => 120,
            headers => ['x-ms-version: 2023-11-03', "Range: bytes=$first-@{[$first + $MAX - 1]}", $header{ $i % 2 ? 'md5' : 'crc64' }],
            $i % 10 ? () : (rate => '2M'));
    };
    my ($most, $waited) = (0, 0);
    my $look = sub {
        my $held = $small->metric('headpond_memory_bytes');
        $most = $held if $held > $most;
        my $waiting = $small->metric('headpond_forwards_waiting');
        $waited = $waiting if $waiting > $waited;
    };
    my $read = 0;
    my %wrong;
    # 200 in all, 50 at a time: each is a process of its own.
    for my $turn (0 .. 3) {
        @jobs = map { [$_, $start->($_)] } map { $turn * 50 + $_ } 0 .. 49;
        Headpond::Process::wait_until(sub { $look->(); !grep { $_->[1]{process}->alive } @jobs }, 120);
        for (@jobs) {
            my ($i, $job) = @$_;
            my $got = $job->finish;
            my $first = $i % 60 * $MIB + $i;
            if ($got->{status} == 503) {
                $wrong{'told to come again'}++ if !$got->{headers}{'retry-after'};
                next;
            }
            $wrong{"status $got->{status}, curl $got->{error}"}++, next if $got->{status} != 206 || $got->{error};
            $read++;
            next if $i % 10 > 1;
            my $direct = direct('/acct/data/crowd', headers => ["Range: bytes=$first-@{[$first + $MAX - 1]}", $header{ $i % 2 ? 'md5' : 'crc64' }]);
            my $name = $carries{ $i % 2 ? 'md5' : 'crc64' };
            $wrong{'checksum'}++ if $got->{headers}{$name} ne $direct->{headers}{$name};
            $wrong{'bytes'}++ if $got->{body} ne $direct->{body};
        }
    }
    is_deeply(\%wrong, {}, 'all answers are right') or diag(explain(\%wrong));
    cmp_ok($read, '>=', 190, "$read of 200 were served");
    is($waited, 0, 'nobody waits for what passes through');
    cmp_ok($most, '<', $LIMIT, sprintf '%.1f MiB held at the most, of 64', $most / $MIB);
    $small->stop;
};

# A client that asks, by HTTP/1.1 or HTTP/2, and reads nothing.
sub stalled {
    my ($small, $i) = @_;
    my $first = $i % 4 * $MIB + $i;
    my ($range, $name) = ("bytes=$first-@{[$first + $MAX - 1]}", (split /:/, $header{ $i % 4 < 2 ? 'md5' : 'crc64' })[0]);
    if ($i % 2) {
        my $h2 = Headpond::H2->connect($small->{http});
        my $fields = Headpond::H2::get_fields('/acct/data/slow', 'x-ms-version' => '2023-11-03', range => $range, $name => 'true');
        $h2->send(Headpond::H2::frame(HEADERS => 5, 1, $fields));
        return $h2;
    }
    my $socket = $small->connect;
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack('i', 4096) or die "SO_RCVBUF: $!";
    syswrite $socket, "GET /acct/data/slow HTTP/1.1\r\nHost: x\r\nx-ms-version: 2023-11-03\r\nRange: $range\r\n$name: true\r\n\r\n";
    return { socket => $socket };
}

subtest 'a crowd that reads nothing is in nobody\'s way' => sub {
    my ($crowd, $soon) = (40, 2 * Headpond::Process::slowness());
    my $small = Headpond->start(origin => $origin, config => { memory => '64MiB' });
    my $sas = $origin->sas('/acct/data', sp => 'rl', sr => 'c');
    $origin->blob('/acct/data/slow', size => $SIZE, seed => 7);
    is(through($small, '/acct/data/slow')->{status}, 200, 'read once');
    $small->settle;
    my $before = $small->metric('headpond_memory_bytes');
    my @crowd = map { stalled($small, $_) } 0 .. $crowd - 1;
    my %latest = (list => 0, read => 0);
    for my $round (1 .. 5) {
        for (['list', "/acct/data?restype=container&comp=list&$sas", 200], ['read', '/acct/data/slow', 206]) {
            my ($what, $path, $status) = @$_;
            my $began = time;
            my $got = through($small, $path, timeout => 20, $what eq 'read' ? (range => 'bytes=5-100004') : ());
            my $took = time - $began;
            $latest{$what} = $took if $took > $latest{$what};
            is($got->{status}, $status, "$what $round");
        }
    }
    cmp_ok($latest{$_}, '<', $soon, sprintf 'a %s was answered after %.3f s at the latest', $_, $latest{$_}) for qw(list read);
    is($small->metric('headpond_forwards_waiting'), 0, 'nobody waits');
    my $select = IO::Select->new(map { $_->{socket} } @crowd);
    my $heads = 0;
    Headpond::Process::wait_until(sub { $heads = $select->can_read(0.1); $heads == $crowd }, 10);
    is($heads, $crowd, 'each of the crowd has its answer before it');
    my $held = $small->metric('headpond_memory_bytes') - $before;
    cmp_ok($held, '<', $crowd * 0.5 * $MIB, sprintf '%.1f MiB held for them', $held / $MIB);
    close $_->{socket} for @crowd;
    ok(defined $small->wait_metric(sub { $_[0] <= 1 }, 'headpond_client_connections'), 'they leave');
    $small->stop;
};

# Without a store nothing is left of what was summed, and all of it comes once more.
subtest 'what is gone between the sum and the reply' => sub {
    my $bare = Headpond->start(origin => $origin, config => { store => undef });
    my @headers = ("Range: bytes=100-@{[$MAX + 99]}", $header{md5});
    for my $proto (Headpond->protocols) {
        for my $kind (sort keys %header) {
            my $path = "/acct/data/bare-$proto-$kind";
            $origin->blob($path, size => $SIZE, seed => 11);
            my %r = (headers => ["Range: bytes=100-@{[$MAX + 99]}", $header{$kind}]);
            same("$proto, $kind: is fetched again", through($bare, $path, proto => $proto, %r), direct($path, %r));
        }

        # Known, so that the next two requests for it are the sum's and the reply's.
        my $path = "/acct/data/bare-$proto";
        $origin->blob("$path-$_", size => $SIZE, seed => 12) for qw(ahead amid);
        through($bare, "$path-$_", range => 'bytes=0-9') for qw(ahead amid);
        $origin->fault(path => "$path-ahead", times => 1, touch_after => $MAX, seed => 13);
        my $got = through($bare, "$path-ahead", proto => $proto, headers => \@headers);
        same("$proto: changed before the reply: another sum for other bytes", $got, direct("$path-ahead", headers => \@headers));
        my $before = direct("$path-amid", headers => \@headers);
        $origin->fault(path => "$path-amid", skip => 1, times => 1, touch_after => $MIB, truncate_after => 2 * $MIB, seed => 13);
        $got = through($bare, "$path-amid", proto => $proto, headers => \@headers);
        $origin->clear_faults;
        is($got->{headers}{'content-md5'}, $before->{headers}{'content-md5'}, "$proto: changed amid the reply: the older sum");
        isnt($got->{error}, 0, 'the reply breaks off');
        cmp_ok(length $got->{body}, '<', $MAX, 'short of its end');
        ok($got->{body} eq substr($before->{body}, 0, length $got->{body}), 'and has no byte of the other generation');
        isnt(direct("$path-amid", headers => \@headers)->{headers}{etag}, $before->{headers}{etag}, 'that the origin has by now');
    }
    $bare->stop;
};
done_testing();
