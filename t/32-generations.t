# SPDX-License-Identifier: Apache-2.0
# One generation a reply (I1), and no old generation comes back to life across a write (decision 5).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
my $write = $origin->sas('/acct/data', sp => 'rcwd');

my $pond = Headpond->start(origin => $origin);
my @put = (headers => ['x-ms-blob-type: BlockBlob']);

sub read_one {
    my ($proto, $name, $size, @seeds) = @_;
    return $pond->client('one', proto => $proto, blob => "$name:$size:" . join('/', @seeds));
}

for my $proto (Headpond->protocols) {
    subtest "$proto: a change found while a reply is under way" => sub {
        my ($name, $size) = ("change-$proto", 24 * $MIB);
        $origin->blob("/acct/data/$name", size => $size, seed => 1);
        is($pond->get("/acct/data/$name", proto => $proto, range => 'bytes=0-' . (8 * $MIB - 1))->{status}, 206, 'the first third is cached');
        $pond->settle;
        $origin->touch("/acct/data/$name", seed => 2);

        my $broken = read_one($proto, $name, $size, 1, 2);
        is($broken->{mismatch_at}, -1, 'not one byte of another generation');
        ok($broken->{broke_off} || ($broken->{bytes} == $size && $broken->{pure_seed} == 2), 'the reply breaks off, or is wholly new')
            or diag(explain($broken));
        ok($pond->wait_log(qr/ generation-changed /), 'the log tells of it');

        my $whole = read_one($proto, $name, $size, 1, 2);
        is($whole->{bytes}, $size, 'the next read is whole');
        is($whole->{pure_seed}, 2, 'and new') or diag(explain($whole));
    };
}

subtest 'changes while the origin sends' => sub {
    for my $after (1, 65536, 5 * $MIB, 15 * $MIB) {
        my ($name, $size) = ("during-$after", 16 * $MIB);
        $origin->blob("/acct/data/$name", size => $size, seed => 1);
        $origin->fault(path => "/acct/data/$name", touch_after => $after, seed => 2);
        my $first = read_one('h1', $name, $size, 1, 2);
        is($first->{mismatch_at}, -1, "after $after bytes: no mixed bytes");
        ok($first->{broke_off} || $first->{bytes} == $size, "after $after bytes: broken off, or whole");
    }
    $origin->clear_faults;
};

subtest 'what only a HEAD tells is as the last write left it' => sub {
    $origin->blob('/acct/data/tiered', size => 100, seed => 1);
    my $tier = sub { $pond->head('/acct/data/tiered')->{headers}{'x-ms-access-tier'} };
    is($tier->(), 'Hot', 'before');
    my $set = $pond->put('/acct/data/tiered?comp=tier', sas => $write, body => '', headers => ['x-ms-access-tier: Cool']);
    is($set->{status}, 200, 'a write that leaves the ETag');
    is($pond->get('/acct/data/tiered')->{status}, 200, 'a GET, which does not tell of tiers, validates the blob');
    is($tier->(), 'Cool', 'after');
};

subtest 'readers while the blob changes again and again' => sub {
    my ($name, $size) = ('restless', 6 * $MIB);
    my @seeds = 1 .. 12;
    $origin->blob("/acct/data/$name", size => $size, seed => 1);
    my $fresh = Headpond->start(origin => $origin, account => { freshness => '0s' });
    my @clients = map { $fresh->start_client('mixed', proto => $_, blobs => "$name:$size:" . join('/', @seeds),
        seconds => 4, tolerate_errors => [], allow_new_etags => []) } qw(h1 h2c);
    for my $seed (@seeds) {
        $origin->reset_stats;
        $origin->touch("/acct/data/$name", seed => $seed);
        Headpond::Process::wait_until(sub { $origin->stats->{requests} >= 20 }, 2);
    }
    for (@clients) {
        my $got = $_->finish;
        is($got->{mismatches}, 0, 'no reply of two generations') or diag(explain($got));
        is($got->{exit}, 0, 'nothing else wrong') or diag(explain($got));
    }
    my $last = $fresh->client('one', blob => "$name:$size:12");
    is($last->{pure_seed}, 12, 'in the end the newest is read');
    $fresh->stop;
};

subtest 'fills are pinned' => sub {
    $origin->blob('/acct/data/pinned', size => 40 * $MIB, seed => 3);
    $origin->reset_stats;
    for my $at (0, 20 * $MIB, 39 * $MIB) {
        $pond->get('/acct/data/pinned', range => "bytes=$at-" . ($at + 99));
        $pond->settle;
    }
    my $etag = $origin->describe('/acct/data/pinned')->{etag};
    my @log = @{ $origin->log('/acct/data/pinned') };
    cmp_ok(scalar @log, '>=', 2, 'the origin was asked more than once');
    my @loose = grep { ($_->{if_match} // '') ne $etag && $_->{range} ne 'bytes=0-0' } @log[1 .. $#log];
    is(scalar @loose, 0, 'all but the first request carry If-Match') or diag(explain(\@loose));
};

subtest 'a fill in flight across a write' => sub {
    for my $round (1 .. 8) {
        my $path = "/acct/data/race-$round";
        $origin->blob($path, size => 3 * $MIB, seed => $round);
        $origin->fault(path => $path, method => 'GET', first_byte_ms => 150 * ($round % 3), rate => 8 * $MIB);
        my $reader = $pond->begin($path);
        Headpond::Process::wait_until(sub { $origin->path_stats($path)->{requests} > 0 }) or fail('the fill began');
        my $new = "new $round " x 1000;
        is($pond->put($path, sas => $write, body => $new, @put)->{status}, 201, "round $round: written");
        my $after = $pond->get($path);
        ok($after->{body} eq $new, "round $round: what was written is read");
        my $old = $reader->finish;
        ok($old->{error} || length $old->{body} == 3 * $MIB || $old->{body} eq $new, "round $round: the earlier reader got one generation");
        my $again = $pond->get($path);
        ok($again->{body} eq $new, "round $round: and is read again");
    }
    $origin->clear_faults;
};

subtest 'a validation in flight across a write' => sub {
    for my $round (1 .. 8) {
        my $path = "/acct/data/validated-$round";
        $origin->blob($path, size => 5000, seed => $round);
        my $old = $pond->get($path)->{body};
        # An ETag that the record does not hold makes headpond ask; the answer is late.
        $origin->fault(path => $path, first_byte_ms => 200, times => 1);
        $origin->reset_stats;
        my $asking = $pond->begin($path, headers => ['If-None-Match: "nobody"']);
        Headpond::Process::wait_until(sub { $origin->path_stats($path)->{requests} > 0 }) or fail('the validation began');
        my $new = "validated $round " x 100;
        is($pond->put($path, sas => $write, body => $new, @put)->{status}, 201, "round $round: written");
        ok($pond->get($path)->{body} eq $new, "round $round: what was written is read");
        $asking->finish;
        ok($pond->get($path)->{body} eq $new, "round $round: the late answer did not bless the old generation");
    }
    $origin->clear_faults;
};

subtest 'a delete through headpond' => sub {
    $origin->blob('/acct/data/gone', size => 1000, seed => 4);
    is($pond->get('/acct/data/gone')->{status}, 200, 'read');
    is($pond->delete_blob('/acct/data/gone', sas => $write)->{status}, 202, 'deleted');
    is($pond->get('/acct/data/gone')->{status}, 404, 'gone');
};

subtest 'a write that the origin refuses costs one validation and no byte' => sub {
    my $path = '/acct/data/refused';
    $origin->blob($path, size => 3 * $MIB, seed => 5);
    $pond->get($path);
    $pond->settle;
    $origin->reset_stats;
    my $stranger = $origin->sas('/acct/other', sp => 'rcwd');
    like($pond->delete_blob($path, sas => $stranger)->{status}, qr/^40[34]$/, 'a stranger may not delete it');
    my $reply = $pond->get($path);
    is($reply->{status}, 200, 'it is still there');
    is(length $reply->{body}, 3 * $MIB, 'whole');
    my $stats = $origin->path_stats($path);
    cmp_ok($stats->{body_bytes}, '<=', 1, 'no data was asked for again');
    cmp_ok($stats->{gets}, '<=', 1, 'at most one validation');
};

$pond->stop;

# Writes that may touch a container or a whole account.
{
    $origin->account($_, challenge => 1) for qw(wide other);
    $origin->container("$_/data") for qw(wide other);
    for my $account (qw(wide other)) {
        $origin->blob("/$account/data/x$_", size => 1000, seed => $_) for 1 .. 10;
    }
    my %sas = map { $_ => $origin->sas("/$_/data", sp => 'rcwd') } qw(wide other);
    my $base = "http://$origin->{address}";
    my $wide = Headpond->start(origin => $origin, config => { accounts => [
        map { { name => $_, origin => "$base/$_", freshness => 'immutable', authorize_ttl => '3600s' } } qw(wide other)] });
    my $read = sub {
        my ($account) = @_;
        $origin->reset_stats;
        my @bad = grep { $wide->get("/$account/data/x$_", sas => $sas{$account})->{status} != 200 } 2 .. 10;
        is(scalar @bad, 0, "$account: all are read") or diag("@bad");
        return $origin->stats->{requests};
    };
    $read->($_) for qw(wide other);
    $wide->settle;
    is($read->($_), 0, "$_: known") for qw(wide other);

    subtest 'wide writes of a stranger cost nobody anything' => sub {
        for my $head ('PUT /wide/nosuch/a/..', 'PUT /wide/data/a/..', 'POST /wide?comp=batch', 'POST /wide?comp=zz',
            'DELETE /wide/data?restype=container', 'POST /wide/data?restype=container&comp=batch', 'DELETE /wide/data/d?recursive=true') {
            for (1 .. 5) {
                my ($text) = $wide->raw("$head HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                like($text, qr{^HTTP/1.1 4\d\d }, "$head is refused");
            }
            is($read->('wide'), 0, "$head: no read asks the origin");
        }
        is($read->('other'), 0, 'nor one of another account');
    };

    subtest 'nor does one whose body trickles in' => sub {
        for my $head ('PUT /wide/nosuch/a/..', 'PUT /wide/data/a//b', 'DELETE /wide/data?restype=container', 'PUT /wide/data?restype=container&comp=acl') {
            my $socket = $wide->connect;
            syswrite $socket, "$head HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx";
            ok($wide->wait_metric(1, 'headpond_origin_inflight'), "$head: is under way");
            is($read->($_), 0, "$head: $_ is read from the cache") for qw(wide other);
            syswrite $socket, 'y';
            is($read->('wide'), 0, "$head: again");
            close $socket;
            ok($wide->wait_metric(sub { $_[0] == 0 }, 'headpond_origin_inflight'), "$head: it goes");
            is($read->('wide'), 0, "$head: and nothing was lost");
        }
    };

    subtest 'one that was done is believed by its container alone' => sub {
        my $path = '/wide/data/x1';
        is($wide->delete_blob($path, sas => $sas{wide}, headers => ['x-ms-delete-snapshots: include'])->{status}, 202, 'done');
        is($read->('other'), 0, 'another account does not notice');
        is($read->('wide'), 9, 'what lies in the container is asked for once');
        is($read->('wide'), 0, 'and then known');
    };

    subtest 'what was asked before its end is not believed' => sub {
        for my $round (1 .. 4) {
            $origin->blob('/wide/data/x1', size => 10, seed => 1);
            $origin->blob('/wide/data/late', size => 5000, seed => $round);
            my $old = $wide->get('/wide/data/late', sas => $sas{wide})->{body};
            $origin->fault(path => '/wide/data/late', first_byte_ms => 300, times => 1);
            $origin->reset_stats;
            my $asking = $wide->begin('/wide/data/late', sas => $sas{wide}, headers => ['If-None-Match: "nobody"']);
            Headpond::Process::wait_until(sub { $origin->path_stats('/wide/data/late')->{requests} > 0 }) or fail('asked');
            is($wide->delete_blob('/wide/data/x1', sas => $sas{wide}, headers => ['x-ms-delete-snapshots: include'])->{status}, 202, 'done');
            $origin->blob('/wide/data/late', size => 5000, seed => 100 + $round); # as if that had done it
            my $new = $wide->get('/wide/data/late', sas => $sas{wide})->{body};
            isnt($new, $old, "round $round: what was written is read");
            $asking->finish;
            is($wide->get('/wide/data/late', sas => $sas{wide})->{body}, $new, "round $round: the late answer blessed nothing");
        }
        $origin->clear_faults;
    };
    $wide->stop;
}

done_testing();
