# SPDX-License-Identifier: Apache-2.0
# Disks that cannot do what the configuration says: smaller than `size`, full, read-only, damaged. On file systems of the
# test's own, in memory. What the disk does wrong costs hits, not answers; what the operator did wrong is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";

# Mounts of our own, gone with the process.
BEGIN {
    exec 'unshare', ($> == 0 ? '-m' : '-rm'), $^X, $0, @ARGV or die "unshare: $!" unless $ENV{HEADPOND_OWN_MOUNTS}++;
}
use Headpond;
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->blob('/acct/data/small', size => 300_000, seed => 1);
$origin->blob('/acct/data/large', size => 200 * $MIB, seed => 2);

sub mounted {
    my ($size) = @_;
    my $dir = Headpond::folder();
    mkdir "$dir/store", 0700;
    system('mount', '-t', 'tmpfs', '-o', "mode=0700,size=$size", 'tmpfs', "$dir/store") == 0 or die 'mount';
    return $dir;
}

sub unmount { system('umount', "$_[0]/store") == 0 or diag('umount') }

sub answers {
    my ($pond, $what) = @_;
    my $got = $pond->client('one', blob => 'small:300000:1');
    ok($got->{bytes} == 300_000 && $got->{mismatch_at} == -1, "$what: it answers") or diag(explain($got));
}

subtest 'a disk smaller than the size' => sub {
    my $dir = mounted('100m');
    my $pond = Headpond->start(dir => $dir, origin => $origin, config => { memory => '64MiB' });
    like($pond->log_text, qr/ warn store-full path=\S+ size=1073741824: the file system has room for \d+ of \d+ MiB/, 'the log says so');
    my $capacity = $pond->metric('headpond_store_capacity_bytes');
    ok($capacity > 0 && $capacity < 100 * $MIB, "the capacity is what there is: $capacity");
    my $start = time;
    my $got = $pond->client('one', blob => 'large:' . 200 * $MIB . ':2');
    is($got->{bytes}, 200 * $MIB, 'a blob larger than the disk is read');
    is($got->{mismatch_at}, -1, 'right');
    cmp_ok(time - $start, '<', 20 * Headpond::Process::slowness(), 'in no more time than it takes');
    ok($pond->wait_metric(1, 'headpond_store_blocks'), 'some of it is kept');
    answers($pond, 'then');
    $start = time;
    $pond->stop;
    cmp_ok(time - $start, '<', 5 * Headpond::Process::slowness(), 'it ends at once');
    unmount($dir);
};

sub fill {
    my ($dir) = @_;
    open my $file, '>', "$dir/store/data-ballast" or die;
    my $block = 'x' x 4096;
    1 while defined syswrite $file, $block;
    close $file;
}

# A start with a disk that fails: headpond runs, says so, and does not believe that disk about what it has missed.
my $fresh_count = 0;
sub runs_without {
    my ($pond, $errno) = @_;
    $pond->run;
    like($pond->log_text, qr/ error store-refused path=\Q$pond->{dir}\E\/store: [^\n]*$errno[^\n]*headpond runs without this disk/, 'the log says so');
    is($pond->metric('headpond_store_disks', path => "$pond->{dir}/store", state => 'failed'), 1, 'so do the metrics');
    is($pond->metric('headpond_store_disks', state => 'used'), 0, 'none is used');
    answers($pond, 'without its disk');
    my $fresh = '/acct/data/fresh-' . ++$fresh_count;
    $origin->blob($fresh, size => 1000, seed => 1);
    is($pond->get($fresh)->{headers}{'cache-status'}, 'headpond; fwd=miss', 'and says of nothing that it is stored');
}

my %immutable = (origin => $origin, account => { freshness => 'immutable', authorize_ttl => '3600s' });
my $sas = $origin->sas('/acct/data', sp => 'rcwd');

sub written {
    my ($pond, $text) = @_;
    my $reply = $pond->put('/acct/data/written', sas => $sas, body => $text, headers => ['x-ms-blob-type: BlockBlob']);
    is($reply->{status}, 201, 'a blob is written');
}

subtest 'a full disk at a start' => sub {
    my $dir = mounted('100m');
    my $pond = Headpond->start(dir => $dir, %immutable);
    answers($pond, 'before');
    written($pond, 'old');
    is($pond->get('/acct/data/written', sas => $sas)->{body}, 'old', 'and read');
    $pond->settle;
    $pond->stop;
    fill($dir);
    runs_without($pond, 'No space left');
    written($pond, 'new');
    $pond->stop;
    unlink "$dir/store/data-ballast" or die;
    $pond->run;
    is($pond->metric('headpond_store_disks', state => 'used'), 1, 'with room again it is used');
    is($pond->get('/acct/data/written', sas => $sas)->{body}, 'new', 'what was written meanwhile is read, immutable or not');
    $origin->reset_stats;
    answers($pond, 'then');
    is($origin->data_requests, 0, 'and its bytes are still good');
    $pond->stop;
    unmount($dir);
};

subtest 'a read-only disk at a start' => sub {
    my $dir = mounted('100m');
    my $pond = Headpond->start(dir => $dir, %immutable);
    answers($pond, 'before');
    $pond->stop;
    system('mount', '-o', 'remount,ro', "$dir/store") == 0 or die;
    runs_without($pond, 'Read-only');
    like($pond->log_text, qr/ store-refused [^\n]*Read-only[^\n]*does not try it again before it is restarted/, 'why is told');
    like($pond->log_text, qr/ store-refused disks=1: no disk is used, [^\n]*empty them before they are used again/, 'and what to do');
    $pond->stop;
    unmount($dir);
};

# One of two disks is not mounted at a start: an empty directory.
subtest 'a disk that is not mounted' => sub {
    my ($blobs, $dir) = (3, mounted('300m'));
    $origin->blob("/acct/data/$_", size => 40 * $MIB, seed => $_) for 1 .. $blobs;
    mkdir "$dir/$_", 0700 for 'aside', 'other';
    system('mount', '--bind', "$dir/store", "$dir/aside") == 0 or die;
    my @disks = ("$dir/store", "$dir/other");
    my $pond = Headpond->start(dir => $dir, %immutable,
        config => { store => [map { { path => $_, size => '240MiB', scrub_rate => 0 } } @disks] });
    like($pond->log_text, qr/ warn store-new path=\Q$disks[0]\E mount=\Q$disks[0]\E device=tmpfs type=tmpfs size=\d+: this directory held no store, and a new one was made in it\n/,
        'a new store on a disk');
    like($pond->log_text, qr/ warn store-new path=\Q$disks[1]\E mount=\S+ device=\S+ type=\S+ size=\d+: [^\n]*; nothing is mounted on it, so if a disk should be, that is missing\n/,
        'and in a directory');
    my $all = sub {
        my ($what) = @_;
        $origin->reset_stats;
        for my $blob (1 .. $blobs) {
            my $got = $pond->client('one', blob => "$blob:" . 40 * $MIB . ":$blob");
            ok($got->{bytes} == 40 * $MIB && $got->{mismatch_at} == -1, "$what: blob $blob is right") or diag(explain($got));
        }
        return $origin->data_requests;
    };
    # Either disk has room for all of it.
    $pond->read_until_kept($origin, sub { $all->('cold') });
    my $blocks = $pond->metric('headpond_store_blocks');
    $pond->stop;
    unmount($dir);
    $pond->run;
    like($pond->log_text, qr/ warn store-new path=\Q$disks[0]\E [^\n]*that is missing, as is likely where other disks hold stores\n/, 'the log says what is wrong');
    like($pond->log_text, qr/ warn store-away disks=1 of=2: /, 'and what it costs');
    my $left = $pond->metric('headpond_store_blocks');
    ok($left > 0 && $left < $blocks, "what the other disk holds is there: $left of $blocks blocks");
    $pond->stop;
    system('mount', '--bind', "$dir/aside", "$dir/store") == 0 or die;
    $pond->run;
    ok($pond->wait_metric($blocks, 'headpond_store_blocks'), 'mounted again it has what it held');
    is($all->('then'), 0, 'nothing is fetched');
    $pond->stop;
    unmount($dir);
    system('umount', "$dir/aside");
};

subtest 'damaged labels' => sub {
    my $dir = mounted('100m');
    my $pond = Headpond->start(dir => $dir, %immutable);
    answers($pond, 'before');
    $pond->stop;
    my $damage = sub {
        open my $file, '+<', "$dir/store/$_[0]" or die;
        print $file 'damaged!';
        close $file;
    };
    $damage->('headpond.store');
    $pond->run;
    like($pond->log_text, qr/ store-corrupt path=\S+ file=headpond\.store: [^\n]*; it is written anew/, 'one is mended');
    ok($pond->wait_metric(1, 'headpond_store_blocks'), 'and nothing is lost');
    $pond->stop;
    $damage->($_) for 'headpond.store', 'headpond.store.copy';
    $pond->run;
    like($pond->log_text, qr/ store-reset path=\S+ the store is emptied: its headpond\.store is damaged/, 'with both the store is emptied');
    answers($pond, 'after');
    ok($pond->wait_metric(1, 'headpond_store_blocks'), 'and used');
    $pond->stop;
    unmount($dir);
};

done_testing();
