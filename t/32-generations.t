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
done_testing();
