# SPDX-License-Identifier: Apache-2.0
# Many readers of one cold blob, on all loops: the origin sends each byte once, and a crawling reader delays nobody.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);

my $pond = Headpond->start(origin => $origin);

sub read_by_many {
    my ($name, $size, %o) = @_;
    $origin->blob("/acct/data/$name", size => $size, seed => length $name);
    $origin->reset_stats;
    my $got = $pond->client('readers', blob => "$name:$size:" . length $name, readers => 64, threads => 2, timeout => 120, %o);
    is($got->{exit}, 0, '64 readers got every byte') or diag(explain($got));
    return $got;
}

sub sent_once {
    my ($name, $size) = @_;
    $pond->settle;
    my $stats = $origin->path_stats("/acct/data/$name");
    is($stats->{distinct_bytes}, $size, 'the origin sent the whole blob');
    is($stats->{body_bytes}, $size, 'the origin sent each byte once');
}

for my $proto (Headpond->protocols) {
    subtest "$proto: 64 readers" => sub {
        read_by_many("together-$proto", 32 * $MIB + 7, proto => $proto);
        sent_once("together-$proto", 32 * $MIB + 7);
    };
}

subtest 'a slow origin: readers stream while the bytes arrive' => sub {
    $origin->latency(first_byte_ms => 50, rate => 16 * $MIB);
    read_by_many('slow-origin', 16 * $MIB, proto => 'h1');
    sent_once('slow-origin', 16 * $MIB);
    $origin->latency;
};

subtest 'a small blob' => sub {
    read_by_many('small', 1000, proto => 'h2c');
    sent_once('small', 1000);
};

subtest 'a reader of 1 KiB/s among them' => sub {
    my $size = 32 * $MIB;
    my $alone = read_by_many('without', $size, proto => 'h1');
    my $with = read_by_many('with-a-crawler', $size, proto => 'h1', slow_reader => 1024, slow_count => 1);
    sent_once('with-a-crawler', $size);
    my ($fast, $slow) = map { ($_->{reader_ms}{max} // 0) / 1000 } $alone, $with;
    cmp_ok($slow, '<=', 3 * $fast + 2, sprintf 'nobody waits for it: %.2f s without, %.2f s with', $fast, $slow);
};

subtest 'the same loop serves others meanwhile' => sub {
    $origin->blob('/acct/data/quick', size => 1000, seed => 9);
    $pond->get('/acct/data/quick');
    $origin->blob('/acct/data/crawl', size => 64 * $MIB, seed => 10);
    my $crawler = $pond->begin('/acct/data/crawl', rate => 1024);
    Headpond::Process::wait_until(sub { $crawler->received > 0 }) or fail('the crawler reads');
    for my $i (1 .. 20) {
        my $reply = $pond->get('/acct/data/quick');
        is(length $reply->{body}, 1000, 'a quick read') if $i == 20 || $reply->{status} != 200;
    }
    my $memory = $pond->metric('headpond_memory_bytes');
    cmp_ok($memory, '<', 256 * $MIB, "memory within its bound: $memory");
    $crawler->cancel;
};

$pond->stop;
done_testing();
