# SPDX-License-Identifier: Apache-2.0
# What contrib/bench measures of blobs that nobody has read: `cold`, one reader of one, and `herd`, 64 readers of the same. The
# storage is far away: 20 ms to the first byte, 60 MB a second and connection. Beside the servers in turn: the storage itself,
# read by one connection, and by as many at once as headpond's reader has pieces under way, which is what there is to be had.
# `herd-slow` is the herd where the storage and not the CPU is the limit, 1 MB a second and connection, beside one reader of
# its own; of the first server only, since the others would take minutes. Every byte is compared with the right one.
#
# Servers stay on their core. The storage and the readers may use both: they cost more than most servers do, and on one core
# would be what is measured.
package Headpond::Bench::Fill;
use strict;
use warnings;
use Time::HiRes ();
use Headpond::Bench::Table;
use Headpond::Bench::World;

my $MIB = 1 << 20;
our %kinds = (
    cold => { readers => 1, size => 1024 * $MIB, rate => 60_000_000 },
    herd => { readers => 64, size => 256 * $MIB, rate => 60_000_000 },
    'herd-slow' => { readers => 64, size => 256 * $MIB, rate => 1_000_000, first_only => 1 },
);
our $FIRST_BYTE_MS = 20;
our $PARALLEL = 24; # JOINS_AT_ONCE of src/cache/joins.h

my $made = 0;

# Those that the words name; all of them without words.
sub all {
    my ($words, $size) = @_;
    return map { { name => $_, %{ $kinds{$_} }, $size ? (size => $size) : () } }
        grep { my $name = $_; !@$words || grep { $_ eq $name } @$words } sort keys %kinds;
}

# Runs a reader against a base URL: what it tells, how long it took, and the most memory that the server had meanwhile.
sub read_blob {
    my ($base, $server, $mode, %options) = @_;
    my ($began, $memory) = (Time::HiRes::time(), 0);
    my $client = Headpond->start_client($mode, base => "$base/$Headpond::Bench::World::CONTAINER", timeout => 120, %options);
    while ($client->{process}->alive) {
        my ($own) = $server ? $server->memory : 0;
        $memory = $own if $own > $memory;
        Time::HiRes::sleep(0.02);
    }
    my $wall = Time::HiRes::time() - $began;
    my $got = $client->finish;
    die 'blob-client: ' . substr(JSON::PP::encode_json($got), 0, 400) . "\n" if $got->{exit} || ($got->{status} // 200) != 200;
    return ($got, $wall, $memory);
}

# One turn: mb_s and wall (of all readers together), first (ms), once (bytes the origin sent, of the blob's), requests, cpu (s
# a GiB) and memory.
sub turn {
    my ($kind, $world, $server, $base, $how) = @_;
    my $origin = $world->{origin};
    my ($name, $size) = ('cold' . ++$made, $kind->{size});
    my $path = "/$Headpond::Bench::World::CONTAINER/$name";
    $origin->blob($path, size => $size, seed => $made);
    my $spec = "$name:$size:$made";
    my @reader = $how eq 'parallel' ? ('blocks', blobs => $spec, once => \1, block => 4 * $MIB, concurrency => $PARALLEL)
        : $how eq 'herd'            ? ('readers', blob => $spec, readers => $kind->{readers})
        :                             ('one', blob => $spec);
    $world->use_memory;
    my $cpu = $server ? $server->cpu : 0;
    my ($got, $wall, $memory) = read_blob($base, $server, @reader);
    $cpu = $server->cpu - $cpu if $server;
    my $first = $got->{first_byte_ms} // $got->{first_byte_p50_ms};
    $first = $first->{median} if ref $first;
    my $stats = $origin->path_stats($path);
    $origin->remove($path);
    return { mb_s => $size / 1e6 / $wall, wall => $wall, first => $first,
        once => $stats->{body_bytes} / $size, requests => $stats->{requests}, cpu => $cpu * 1024 * $MIB / $size, memory => $memory };
}

# All turns of one kind: name => [turns] or, why there are none, a text.
sub measure {
    my ($kind, $world, $servers, $rounds) = @_;
    my $storage = "http://$world->{origin}{address}";
    my @through = $kind->{first_only} ? $servers->[0] : @$servers;
    my $how = $kind->{readers} > 1 ? 'herd' : 'one';
    my @rows = map { { name => $_->{name}, server => $_, how => $how, why => $_->{fault} // ($_->{no_proxy} ? 'no proxy' : undef) } } @through;
    push @rows, map { { %$_, name => "$_->{name}, one reader", how => 'one' } } @rows if $kind->{first_only};
    push @rows, { name => 'storage, one connection', how => 'one' } if !$kind->{first_only};
    push @rows, { name => "storage, $PARALLEL connections", how => 'parallel' };
    $_->{turns} = [] for @rows;
    $world->{origin}->latency(first_byte_ms => $FIRST_BYTE_MS, rate => $kind->{rate});
    for my $round (1 .. $rounds) {
        for my $row (grep { !$_->{why} } @rows) {
            my $base = $row->{server} ? $row->{server}->base('h1') : $storage;
            my $turn = eval { turn($kind, $world, $row->{server}, $base, $row->{how}) };
            $row->{why} = $@ =~ s/\s+$//r, next if !$turn;
            push @{ $row->{turns} }, $turn;
            printf STDERR "%-8s %-24s %7.0f MB/s  first byte %8.1f ms  origin %.4f times in %4d requests  %6.1f MiB\n", $kind->{name}, $row->{name},
                @$turn{qw(mb_s first once requests)}, $turn->{memory} / $MIB;
        }
    }
    $world->{origin}->latency;
    return \@rows;
}

sub table {
    my ($kind, $rows) = @_;
    my $title = ($kind->{readers} > 1 ? "$kind->{readers} readers of the same cold " : 'One reader of a cold ') . $kind->{size} / $MIB . ' MiB';
    my $turns = @{ $rows->[0]{turns} };
    return "## $title\n\n" . Headpond::Bench::Table::figures('server', \@Headpond::Bench::Table::fill, $rows, 'mb_s')
        . "Medians of $turns turns; $FIRST_BYTE_MS ms to the first byte and @{[ $kind->{rate} / 1e6 ]} MB/s a connection at the storage.\n\n";
}

1;
