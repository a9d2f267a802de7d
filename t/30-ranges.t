# SPDX-License-Identifier: Apache-2.0
# Every byte of every range, over every protocol: cold, warm and half-warm. What is warm costs the origin nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $MIB = 1 << 20;
my @sizes = (0, 1, $MIB - 1, $MIB, $MIB + 1, 100 * $MIB);
my $seed = 0;

my $origin = Headpond::Origin->start;
$origin->container('acct/data');
my $sas = $origin->sas('/acct/data');

# Nothing is to be evicted here.
my $disk = Headpond->folder;
my $pond = Headpond->start(origin => $origin, account => { authorize_ttl => '3600s' },
    config => { store => [{ path => "$disk", size => '3GiB' }] });

# Blobs of all sizes under a name of their own; the list as blob-client takes it.
sub make_blobs {
    my ($name) = @_;
    my @list;
    for my $size (@sizes) {
        $seed++;
        $origin->blob("/acct/data/$name-$size", size => $size, seed => $seed, md5 => 'auto');
        push @list, "$name-$size:$size:$seed";
    }
    return join ',', @list;
}

sub read_ranges {
    my ($proto, $blobs, $rng, $what) = @_;
    my $got = $pond->client('ranges', proto => $proto, sas => $sas, blobs => $blobs, count => 1000, rng => $rng);
    is($got->{exit}, 0, "$what: 1,000 ranges are right") or diag(explain($got));
}

# Blocks that a disk has not brought within a second, or has not taken in time, as may happen on a busy machine: they are
# fetched once more.
sub passed_by { return $pond->metric('headpond_store_stalled_total') + $pond->metric('headpond_store_rejected_total', reason => 'queue') }

for my $proto (Headpond->protocols) {
    subtest $proto => sub {
        my $blobs = make_blobs($proto);
        my $before = passed_by();
        $origin->reset_stats;
        read_ranges($proto, $blobs, 1, 'cold');
        my $stats = $origin->stats;
        cmp_ok($origin->data_requests, '>', 0, 'cold: the origin was asked');
        cmp_ok($stats->{body_bytes} - $stats->{distinct_bytes}, '<=', $stats->{probe_requests}, 'cold: no byte was sent twice')
            or diag("$stats->{body_bytes} sent, $stats->{distinct_bytes} distinct, $stats->{probe_requests} probes");
        $pond->settle;

        $origin->reset_stats;
        read_ranges($proto, $blobs, 1, 'warm');
        cmp_ok($origin->data_requests, '<=', passed_by() - $before, 'warm: no data request at the origin');

        $blobs = make_blobs("$proto-half");
        my $middle = 50 * $MIB;
        $before = passed_by();
        $pond->get("/acct/data/$proto-half-" . 100 * $MIB, proto => $proto, sas => $sas, range => "bytes=$middle-")->{status} == 206
            or fail('the second half is read');
        $pond->settle;
        $origin->reset_stats;
        read_ranges($proto, $blobs, 2, 'half-warm');
        $pond->settle;
        my $big = $origin->path_stats("/acct/data/$proto-half-" . 100 * $MIB);
        my $passed_by = passed_by() - $before;
        cmp_ok($big->{body_bytes}, '<=', $middle + (1 + $passed_by) * $MIB, 'half-warm: only the missing half was asked for')
            or diag("$passed_by blocks were late, or not stored");
        $origin->reset_stats;
        read_ranges($proto, $blobs, 2, 'warm again');
        cmp_ok($origin->data_requests, '<=', passed_by() - $before, 'warm again: no data request at the origin');
    };
}

subtest 'one protocol warms the others' => sub {
    my $blobs = make_blobs('shared');
    read_ranges('h1', $blobs, 3, 'h1');
    $pond->settle;
    $origin->reset_stats;
    read_ranges($_, $blobs, 3, $_) for qw(h1s h2c h2s);
    is($origin->data_requests, 0, 'no data request at the origin');
};

$pond->stop;
done_testing();
