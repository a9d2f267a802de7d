# SPDX-License-Identifier: Apache-2.0
# One reader of a cold blob, far from its storage: pieces come over several connections side by side, each byte once,
# and no more of them than what is stored until the reader gets there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $MIB = 1 << 20;
my $RATE = 8_000_000; # bytes a second and connection

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->latency(first_byte_ms => 20, rate => $RATE);

my $names = 0;

# Reads a blob that nobody has read, once; how fast.
sub read_cold {
    my ($pond, $what, $size, %o) = @_;
    my $name = 'b' . ++$names;
    $origin->blob("/acct/data/$name", size => $size, seed => $names);
    my $bytes = delete $o{bytes} // $size;
    my $got = $pond->client('one', blob => "$name:$size:$names", timeout => 60, %o);
    ok($got->{exit} == 0 && $got->{bytes} == $bytes && $got->{mismatch_at} == -1, "$what: every byte is right")
        or diag(explain($got));
    $pond->settle;
    my $stats = $origin->path_stats("/acct/data/$name");
    is($stats->{body_bytes}, $stats->{distinct_bytes}, "$what: fetched once");
    cmp_ok($stats->{body_bytes}, '<=', $bytes + 2 * $MIB, "$what: and nothing that was not asked for");
    return $bytes / $got->{time_ms} * 1000 / $RATE;
}

my $folder = Headpond->folder;
my $pond = Headpond->start(origin => $origin, config => { store => [{ path => "$folder/large", size => '4GiB' }] });
cmp_ok(read_cold($pond, 'far away', 96 * $MIB), '>', 4, 'as fast as several connections');
cmp_ok(read_cold($pond, 'again', 96 * $MIB), '>', 4, 'as fast as several connections');
read_cold($pond, 'a small range', 64 * $MIB, range => (20 * $MIB) . '-' . (20 * $MIB + 99_999), bytes => 100_000);
$pond->stop;

# Read ahead, what is not read soon would have to go again, and be fetched a second time.
$pond = Headpond->start(origin => $origin, config => { store => [{ path => "$folder/small", size => '128MiB' }] });
cmp_ok(read_cold($pond, "a small store, round $_", 96 * $MIB), '>', 1.2, 'faster than one connection') for 1 .. 3;
$pond->stop;

$pond = Headpond->start(origin => $origin, account => { containers => [{ name => 'data', limit => '16MiB' }] },
    config => { store => [{ path => "$folder/limit", size => '4GiB' }] });
cmp_ok(read_cold($pond, "a small limit, round $_", 48 * $MIB), '>', 1.2, 'faster than one connection') for 1 .. 2;
$pond->stop;

$pond = Headpond->start(origin => $origin, config => { store => undef });
cmp_ok(read_cold($pond, 'no store', 48 * $MIB), '>', 1.2, 'faster than one connection');
$pond->stop;
done_testing();
