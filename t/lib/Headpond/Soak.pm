# SPDX-License-Identifier: Apache-2.0
# A mixed load for a given time: reads of all shapes over all protocols, aborted ones among them, blobs that change, uploads,
# and an origin that fails now and then; memory and descriptors are sampled and have to be flat.
package Headpond::Soak;
use strict;
use warnings;
use Headpond;
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;

# Descriptors and resident KiB of a process.
sub sample {
    my ($pid) = @_;
    my ($rss) = Headpond::Process::slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
    my $descriptors = () = glob("/proc/$pid/fd/*");
    return ($descriptors, $rss // 0);
}

# Descriptors once all clients are gone and idle origin connections counted out.
sub idle_descriptors {
    my ($pond) = @_;
    $pond->wait_metric(sub { $_[0] == 0 }, 'headpond_client_connections');
    $pond->settle;
    my ($descriptors) = sample($pond->{process}{pid});
    my $open = $pond->{origin}->stats->{open_connections} - 1; # the one that asks
    return $descriptors - $open;
}

# One burst of all clients at once.
sub burst {
    my ($pond, $blobs, $changing, $seconds, $rng) = @_;
    my @clients;
    for my $proto (Headpond->protocols) {
        push @clients, $pond->start_client('mixed', proto => $proto, blobs => $blobs, seconds => $seconds, rng => $rng++,
            tolerate_errors => [], concurrency => 12);
    }
    push @clients, $pond->start_client('mixed', blobs => $changing, seconds => $seconds, rng => $rng, tolerate_errors => [],
        allow_new_etags => [], concurrency => 4);
    return @clients;
}

# While the clients run: touch, upload, fail; and sample.
sub disturb {
    my ($pond, $write, $clients, $samples) = @_;
    my $origin = $pond->{origin};
    my $turn = 0;
    while (grep { $_->{process}->alive } @$clients) {
        $turn++;
        $origin->touch('/acct/data/changing', seed => 1 + $turn % 4);
        $pond->put('/acct/data/upload-' . $turn % 10, sas => $write, body => 'u' x (1000 * ($turn % 200)), headers => ['x-ms-blob-type: BlockBlob']);
        $origin->fault(path => '/acct/data/*', times => 1, @{ (['status', 503], ['truncate_after', 70_000], ['reset_after', 1000])[$turn % 3] })
            if $turn % 5 == 0;
        my ($descriptors, $rss) = sample($pond->{process}{pid});
        push @$samples, { at => time, rss => $rss, descriptors => $descriptors, memory => $pond->metric('headpond_memory_bytes') };
        Headpond::Process::wait_until(sub { 0 }, 0.2 / Headpond::Process::slowness());
    }
    $origin->clear_faults;
}

sub highest {
    my ($field, @samples) = @_;
    my $most = 0;
    $_->{$field} > $most and $most = $_->{$field} for @samples;
    return $most;
}

# Runs it; checks are made as tests. The samples come back.
sub run {
    my (%o) = @_;
    my $seconds = $o{seconds};
    my $origin = Headpond::Origin->start;
    $origin->container('acct/data', public => 1);
    my $write = $origin->sas('/acct/data', sp => 'rcw');
    my ($seed, @blobs) = (0);
    for my $size (0, 1, 1000, 65536, $MIB - 1, $MIB, 3 * $MIB + 5, 20 * $MIB, 60 * $MIB) {
        $seed++;
        $origin->blob("/acct/data/soak-$size", size => $size, seed => $seed);
        push @blobs, "soak-$size:$size:$seed";
    }
    $origin->blob('/acct/data/changing', size => 5 * $MIB, seed => 1);
    my $pond = Headpond->new(origin => $origin, account => { freshness => '1s', authorize_ttl => '2s' });
    # A store smaller than the blobs, so that eviction is at work.
    $pond->{config} = { store => [{ path => "$pond->{dir}/store", size => '72MiB' }], memory => '128MiB' };
    $pond->write_config;
    $pond->run;

    my @samples;
    my $rounds = $seconds > 60 ? int $seconds / 30 : 3;
    my ($first_idle, $last_idle);
    for my $round (1 .. $rounds) {
        my @clients = burst($pond, join(',', @blobs), 'changing:' . 5 * $MIB . ':1/2/3/4', int($seconds / $rounds) || 1, $round * 10);
        disturb($pond, $write, \@clients, \@samples);
        for (@clients) {
            my $got = $_->finish;
            is($got->{mismatches}, 0, "round $round: no wrong byte") or diag(explain($got));
            is($got->{failures}, 0, "round $round: no wrong answer") or diag(explain($got));
            cmp_ok($got->{requests} // 0, '>', 0, "round $round: requests");
        }
        $last_idle = idle_descriptors($pond);
        $first_idle //= $last_idle;
        $samples[-1]{round} = $round;
    }

    my ($early, $late) = (highest('rss', @samples[0 .. @samples / 2]), highest('rss', @samples[@samples / 2 .. $#samples]));
    # A sanitizer keeps freed memory back for a while, and its own growth is not headpond's.
    cmp_ok($late, '<=', $early * 1.10 + 24 * 1024, "resident memory is flat: $early KiB, then $late KiB")
        if Headpond::Process::slowness() == 1;
    my $most = highest('memory', @samples);
    cmp_ok($most, '<=', 128 * $MIB, "allocations stay within `memory`: $most bytes");
    cmp_ok($last_idle, '<=', $first_idle + 2, "no descriptor is lost: $first_idle idle after the first round, $last_idle after the last");
    is($pond->metric('headpond_fills_inflight'), 0, 'no fill is left over');
    is($pond->metric('headpond_origin_inflight'), 0, 'no origin request is left over');
    my $answered = $pond->metric('headpond_requests_total');
    $pond->stop;
    return { samples => \@samples, requests => $answered };
}

1;
