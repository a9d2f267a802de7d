# SPDX-License-Identifier: Apache-2.0
# Bits that turn over and files that are cut short, in data files and index, while headpond is down and while it runs: every
# byte that is served after that is compared, headpond lives, and what it finds it counts.
#
# Under a running process a bit is turned over by direct I/O, which drops the page from the page cache, as if the disk had
# given it back so the next time. Nobody reads in that moment: what is on its way to a client has been checked already.
package Headpond::Damage;
use strict;
use warnings;
use File::Temp ();
use Headpond;
use Test::More;

my $KIB = 1024;
my $MIB = 1 << 20;
my $PAGE = 4096;

# Whether a page can be replaced beside the page cache here.
sub direct_works {
    my ($dir) = @_;
    my $path = "$dir/direct";
    open my $file, '>', $path or die $!;
    print $file "\0" x $PAGE;
    close $file;
    return page_write($path, 0, "\1" x $PAGE);
}

sub page_write {
    my ($path, $page, $bytes) = @_;
    my $new = File::Temp->new;
    print $new $bytes;
    close $new;
    return system("dd if='$new' of='$path' bs=$PAGE seek=$page count=1 conv=notrunc oflag=direct 2>/dev/null") == 0;
}

sub page_read {
    my ($path, $page) = @_;
    my $bytes = qx(dd if='$path' bs=$PAGE skip=$page count=1 iflag=direct 2>/dev/null);
    return length $bytes == $PAGE ? $bytes : undef;
}

sub flip {
    my ($path, $running) = @_;
    my $pages = int((-s $path) / $PAGE) or return 0;
    my ($page, $at, $bit) = (int rand $pages, int rand $PAGE, 1 << int rand 8);
    if ($running) {
        my $bytes = page_read($path, $page) // return 0;
        substr($bytes, $at, 1) = chr($bit ^ ord substr $bytes, $at, 1);
        return page_write($path, $page, $bytes);
    }
    open my $file, '+<', $path or return 0;
    seek $file, $page * $PAGE + $at, 0;
    read $file, my $byte, 1;
    seek $file, $page * $PAGE + $at, 0;
    print $file chr($bit ^ ord $byte);
    return close $file;
}

sub cut {
    my ($path) = @_;
    my $size = -s $path or return 0;
    return truncate $path, int rand $size;
}

# One damage: what it was.
sub damage {
    my ($store, $running, $index_flips) = @_;
    my @data = sort glob "$store/data-*";
    my $index = "$store/index/data.mdb";
    my $dice = rand;
    my $data = $data[rand @data];
    return flip($data, $running) && 'data-flip' if $dice < 0.60 && $data;
    return flip($index, $running) && 'index-flip' if $dice < 0.96 && $index_flips;
    return cut($data) && 'data-cut' if $dice < 0.98 && $data;
    return cut($index) && 'index-cut';
}

sub make_blobs {
    my ($origin) = @_;
    my @sizes = ((map { 300 + 977 * $_ } 0 .. 39), (map { 70_000 + 13_001 * $_ } 0 .. 19), map { 1_000_000 * $_ + $_ } 1 .. 4);
    my @blobs = map { { name => "b$_", size => $sizes[$_], seed => 1 + $_ } } 0 .. $#sizes;
    $origin->blob("/acct/data/$_->{name}", size => $_->{size}, seed => $_->{seed}) for @blobs;
    return @blobs;
}

sub read_all {
    my ($pond, $blobs, $rng) = @_;
    my $list = join ',', map { "$_->{name}:$_->{size}:$_->{seed}" } @$blobs;
    my @bad;
    for my $run (['ranges', count => 60, rng => $rng], ['ranges', count => 200, big => 1 << 30, rng => $rng + 1]) {
        my ($mode, %o) = @$run;
        my $got = $pond->client($mode, blobs => $list, %o);
        push @bad, $got if $got->{exit} != 0;
    }
    return @bad;
}

sub counted {
    my ($pond) = @_;
    return $pond->metric('headpond_store_corrupt_total') + $pond->metric('headpond_store_errors_total');
}

# Runs it: `damages`, `seed`. What happened comes back, by kind.
sub run {
    my (%o) = @_;
    srand $o{seed};
    my $origin = Headpond::Origin->start;
    $origin->container('acct/data', public => 1);
    my @blobs = make_blobs($origin);
    my $pond = Headpond->new(origin => $origin, account => { freshness => '0s', authorize_ttl => '3600s' });
    $pond->{config} = { store => [{ path => "$pond->{dir}/store", size => '48MiB' }], block_size => '256KiB' };
    $pond->write_config;
    my $direct = direct_works($pond->{dir});
    note('direct I/O does not work here: nothing is damaged under a running process') unless $direct;
    my $sanitizer = Headpond::Process::slowness() != 1;
    my %seen = map { $_ => 0 } qw(rounds data-flip index-flip data-cut index-cut running down found rebuilds resets wrong);
    $pond->run;
    is(scalar read_all($pond, \@blobs, 1), 0, 'before');
    $pond->settle;
    my $done = 0;
    while ($done < $o{damages}) {
        my $round = ++$seen{rounds};
        my $running = $direct && rand() < 0.5;
        my $count = 1 + int rand 12;
        $count = $o{damages} - $done if $count > $o{damages} - $done;
        if (!$running) {
            rand() < 0.5 ? $pond->stop_now : $pond->stop;
        }
        # A damaged page that LMDB copies is what its guard does not see, and a sanitizer does.
        my $before = $running ? counted($pond) : 0;
        for (1 .. $count) {
            my $kind = damage("$pond->{dir}/store", $running, !($running && $sanitizer)) or next;
            $seen{$kind}++;
            $seen{ $running ? 'running' : 'down' }++;
        }
        $done += $count;
        $pond->run unless $running;
        # Some change, so that there are dead generations to come back.
        for my $blob (@blobs[map { int rand @blobs } 1 .. 3]) {
            $blob->{seed} += 1000;
            $origin->touch("/acct/data/$blob->{name}", seed => $blob->{seed});
        }
        $pond->wait_metric(1, 'headpond_store_objects') if !$running && rand() < 0.7; # loaded, or not
        my @bad = read_all($pond, \@blobs, $round * 10);
        $seen{wrong} += @bad;
        ok(!@bad, "round $round, $count damages " . ($running ? 'while it ran' : 'while it was down') . ': every byte is right')
            or diag(explain(@bad));
        ok($pond->{process}->alive, "round $round: headpond lives") or last;
        $pond->settle;
        $seen{found} += counted($pond) - $before;
        # A disk whose index was found damaged takes nothing more until the next start.
        if ($running && $pond->metric('headpond_store_disks', state => 'failed') > 0) {
            rand() < 0.5 ? $pond->stop_now : $pond->stop;
            $pond->run;
        }
    }
    my $log = Headpond::Process::slurp("$pond->{dir}/error.log");
    $seen{rebuilds} = () = $log =~ / store-rebuild path=\S+ the index is made anew/g;
    $seen{resets} = () = $log =~ / store-reset /g;
    $pond->{stopped} || $pond->stop;
    is($seen{wrong}, 0, 'no wrong byte');
    cmp_ok($seen{found}, '>', 0, "what was found was counted: $seen{found}");
    return \%seen;
}

1;
