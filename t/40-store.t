# SPDX-License-Identifier: Apache-2.0
# The disk: what was committed is served after a restart, a killed process never serves a wrong byte, damage is noticed, the
# size is kept, and a disk is not needed at all.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Test::More;

my $MIB = 1 << 20;

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
my %account = (freshness => 'immutable', authorize_ttl => '3600s');

# Blobs of several sizes: their list as blob-client takes it, and all bytes.
my $seed = 100;
sub make_blobs {
    my ($name, @sizes) = @_;
    return join ',', map {
        $seed++;
        $origin->blob("/acct/data/$name-$_", size => $_, seed => $seed);
        "$name-$_:$_:$seed";
    } @sizes;
}

sub read_all_right {
    my ($pond, $blobs, $what, %o) = @_;
    my $got = $pond->client('ranges', blobs => $blobs, count => 200, big => 1 << 30, %o);
    is($got->{exit}, 0, "$what: every byte is right") or diag(explain($got));
}

# Waits until everything that was read is committed: the store commits each second.
sub committed {
    my ($pond) = @_;
    $pond->settle;
    my $log = -s "$pond->{dir}/store";
    my $then = time + 2;
    Headpond::Process::wait_until(sub { time > $then }, 5);
}

subtest 'an orderly restart keeps the hits' => sub {
    my $blobs = make_blobs('kept', 0, 1, 4000, $MIB, 10 * $MIB + 5);
    my $pond = Headpond->start(origin => $origin, account => \%account);
    read_all_right($pond, $blobs, 'before');
    $pond->settle;
    my $count = $pond->metric('headpond_store_blocks');
    open my $tag, '<', "$pond->{dir}/store/CACHEDIR.TAG" or die $!;
    like(scalar <$tag>, qr/^Signature: 8a477f597d28d172789f06886806bc55$/, 'backups are told that it is a cache');
    $pond->stop;

    $origin->reset_stats;
    $pond->run;
    $pond->wait_metric($count, 'headpond_store_blocks');
    read_all_right($pond, $blobs, 'after');
    is($origin->data_requests, 0, 'no data request at the origin');
    cmp_ok($origin->stats->{requests}, '<=', 10, 'and few questions');
    $pond->stop;
};

subtest 'kill -9 at any moment' => sub {
    my $pond = Headpond->start(origin => $origin, account => \%account);
    my $blobs = make_blobs('killed', 3000, $MIB, 7 * $MIB, 30 * $MIB);
    for my $round (1 .. 5) {
        my $reader = $pond->start_client('mixed', blobs => $blobs, seconds => 30, tolerate_errors => []);
        $pond->wait_metric(4 * $MIB * $round, 'headpond_client_bytes_total');
        $pond->stop_now;
        my $got = $reader->{process}->stop_now;
        $pond->run;
        read_all_right($pond, $blobs, "round $round", count => 60, rng => $round);
    }
    is($pond->metric('headpond_store_corrupt_total'), 0, 'nothing was found damaged');
    $pond->stop;
};

subtest 'what was committed survives a kill' => sub {
    my $blobs = make_blobs('committed', 4000, 5 * $MIB);
    my $pond = Headpond->start(origin => $origin, account => \%account);
    read_all_right($pond, $blobs, 'before');
    committed($pond);
    $pond->stop_now;
    $origin->reset_stats;
    $pond->run;
    read_all_right($pond, $blobs, 'after');
    is($origin->data_requests, 0, 'no data request at the origin');
    $pond->stop;
};

subtest 'a write is not forgotten by a kill' => sub {
    my $sas = $origin->sas('/acct/data', sp => 'rcwd');
    my $pond = Headpond->start(origin => $origin, account => \%account);
    for my $round (1 .. 4) {
        my $path = "/acct/data/fenced-$round";
        $origin->blob($path, size => 2 * $MIB, seed => $round);
        $pond->get($path);
        committed($pond) if $round == 1;
        my $new = "round $round " x 500;
        is($pond->put($path, sas => $sas, body => $new, headers => ['x-ms-blob-type: BlockBlob'])->{status}, 201, "round $round: written");
        $pond->stop_now;
        $pond->run;
        ok($pond->get($path)->{body} eq $new, "round $round: the old generation does not come back, immutable or not");
    }
    $pond->stop;
};

subtest 'a kill during a wide write' => sub {
    my $sas = $origin->sas('/acct/data', sp => 'rcwd');
    my $pond = Headpond->start(origin => $origin, account => \%account);
    $origin->blob("/acct/data/wide-$_", size => 70_000, seed => $_) for 0 .. 6;
    my $read = sub {
        $origin->reset_stats;
        my @replies = map { $pond->get("/acct/data/wide-$_", sas => $sas) } 0 .. 5;
        return ($origin->data_requests, $origin->stats->{requests}, @replies);
    };
    $read->();
    committed($pond);
    $pond->stop_now;
    $pond->run;
    is(($read->())[1], 1, 'a kill alone: the first read asks who may, the others are known');
    committed($pond);

    # The origin does it, and its answer does not come.
    $origin->fault(path => '/acct/data/wide-6', method => 'DELETE', first_byte_ms => 60_000);
    $origin->reset_stats;
    my $writer = $pond->begin('/acct/data/wide-6', method => 'DELETE', sas => $sas, headers => ['x-ms-delete-snapshots: include']);
    Headpond::Process::wait_until(sub { $origin->path_stats('/acct/data/wide-6')->{requests} > 0 }) or fail('forwarded');
    $pond->stop_now;
    $origin->touch("/acct/data/wide-5", seed => 1000);
    $origin->clear_faults;
    $pond->run;
    my ($data, $asked, @replies) = $read->();
    cmp_ok($asked, '>=', 6, 'after the kill each is asked for');
    ok($replies[5]{body} eq $pond->get('/acct/data/wide-5', sas => $sas)->{body} && $replies[5]{body} ne $replies[0]{body}, 'whole');
    is($replies[5]{headers}{etag}, $origin->describe('/acct/data/wide-5')->{etag}, 'and what was changed meanwhile is seen, immutable or not');
    cmp_ok($data, '<=', 2, 'no bytes come again but of what changed');
    is(($read->())[1], 0, 'once');
    $pond->stop;
};

subtest 'damage is noticed' => sub {
    my $blobs = make_blobs('damaged', 6 * $MIB, 5000);
    my $pond = Headpond->start(origin => $origin, account => \%account);
    read_all_right($pond, $blobs, 'before');
    $pond->settle;
    $pond->stop;
    # Every file that holds blocks gets a byte turned over each 64 KiB, past its first page.
    for my $path (grep { !m{\.mdb$|/index} && -s $_ && -s $_ >= 6 * $MIB } glob("$pond->{dir}/store/* $pond->{dir}/store/*/*")) {
        open my $file, '+<', $path or die;
        for (my $at = 4096 + 777; $at < -s $path && $at < 64 * $MIB; $at += 65536) {
            seek $file, $at, 0;
            read $file, my $byte, 1;
            seek $file, $at, 0;
            print $file chr(255 ^ ord $byte);
        }
    }
    $pond->run;
    read_all_right($pond, $blobs, 'after');
    cmp_ok($pond->metric('headpond_store_corrupt_total'), '>', 0, 'the damage was counted');
    like($pond->log_text, qr/ store-corrupt path=\Q$pond->{dir}\E\/store file=data-000000 offset=\d+ generation=\d+ block=\d+: a block's check failed when it was read; it was dropped and is fetched again, /,
        'and logged: where it was, and what becomes of it');
    $pond->stop;
};

# What becomes of the index while headpond is down, and whether that is damage.
my %lost = (
    'gone' => [0, sub { unlink "$_[0]/data.mdb", "$_[0]/lock.mdb" }],
    'gone with its directory' => [0, sub { unlink "$_[0]/data.mdb", "$_[0]/lock.mdb"; rmdir $_[0] }],
    'zeros' => [1, sub { open my $file, '+<', "$_[0]/data.mdb" or die $!; print $file "\0" x 65536 }],
    'cut short' => [1, sub { truncate "$_[0]/data.mdb", 12288 }],
);

subtest "an index that is lost: $_" => sub {
    my ($damage, $lose) = @{ $lost{$_} };
    my $blobs = make_blobs('index', 0, 1, 5000, 3 * $MIB, 7 * $MIB + 11);
    my $pond = Headpond->start(origin => $origin, account => \%account);
    read_all_right($pond, $blobs, 'before');
    $pond->head('/acct/data/' . $blobs =~ s/:.*//r);
    $pond->settle;
    my $count = $pond->metric('headpond_store_blocks');
    $pond->stop;
    $lose->("$pond->{dir}/store/index");
    $origin->reset_stats;
    $pond->run;
    like($pond->log_text, qr/ store-rebuild path=\S+ the index is made anew from the data files: /, 'the log tells of it');
    $pond->wait_metric($count, 'headpond_store_blocks');
    is($pond->metric('headpond_store_corrupt_total'), $damage, $damage ? 'the damage is counted' : 'nothing is damaged');
    $pond->head('/acct/data/' . $blobs =~ s/:.*//r);
    is($origin->stats->{requests}, 1, 'what a HEAD told is asked for again, immutable or not');
    read_all_right($pond, $blobs, 'after');
    is($origin->data_requests, 0, 'no data request at the origin');
    my $asked = $origin->stats->{requests};
    cmp_ok($asked, '>=', 5, 'each blob was validated');
    cmp_ok($asked, '<=', 12, 'hardly more than once');
    read_all_right($pond, $blobs, 'again');
    is($origin->stats->{requests}, $asked, 'and not again');
    $pond->stop;
    $pond->run;
    unlike($pond->log_text, qr/ store-rebuild /, 'the next start reads the index');
    read_all_right($pond, $blobs, 'after a restart');
    is($origin->data_requests, 0, 'still no data request');
    $pond->stop;
} for sort keys %lost;

subtest 'the size is kept' => sub {
    my $size = 96 * $MIB;
    my $pond = Headpond->start(origin => $origin, account => \%account, config => { store => undef });
    $pond->stop;
    $pond = Headpond->new(origin => $origin, account => \%account);
    $pond->{config} = { store => [{ path => "$pond->{dir}/store", size => '96MiB' }] };
    $pond->write_config;
    $pond->run;
    my $blobs = make_blobs('evicted', map { 20 * $MIB + $_ } 1 .. 12);
    read_all_right($pond, $blobs, "round $_", rng => $_) for 1, 2;
    $pond->settle;
    cmp_ok($pond->metric('headpond_store_bytes'), '<=', $size, 'by its own account');
    my ($used) = qx(du -s -B1 '$pond->{dir}/store') =~ /^(\d+)/;
    cmp_ok($used, '<=', $size, "on disk: $used bytes");
    cmp_ok($pond->metric('headpond_store_evictions_total'), '>', 0, 'blocks were evicted');
    $pond->stop;
};

# Whatever lets every block in has evicted most of them when they come again. contrib/epochs is the long form.
subtest 'rounds over more than the store holds' => sub {
    my $count = 7;
    my $blobs = make_blobs('rounds', map { 16 * $MIB - $_ } 1 .. $count);
    for my $order ('fixed', 'fresh') {
        my $pond = Headpond->new(origin => $origin, account => \%account);
        $pond->{config} = { store => [{ path => "$pond->{dir}/store", size => '100MiB' }] };
        $pond->write_config;
        $pond->run;
        my $part = $pond->metric('headpond_store_capacity_bytes') / ($count * 16 * $MIB);
        for my $round (1 .. 4) {
            $origin->reset_stats;
            my $got = $pond->client('blocks', blobs => $blobs, once => [], rng => $round, $order eq 'fresh' ? (shuffle => []) : ());
            is($got->{exit}, 0, "$order order, round $round: every byte is right") or diag(explain($got));
            is($got->{requests}, $count * 16, "$order order, round $round: every block was read");
        }
        my $hits = 1 - $origin->stats->{body_bytes} / ($count * 16 * $MIB);
        cmp_ok($hits, '>', 0.75 * $part, sprintf "%s order: with room for %.2f of it, %.2f came from the store", $order, $part, $hits);
        $pond->stop;
    }
};

subtest 'without a store' => sub {
    my $pond = Headpond->start(origin => $origin, account => \%account, config => { store => undef });
    my $blobs = make_blobs('storeless', 0, 1, 70_000, 9 * $MIB);
    read_all_right($pond, $blobs, $_, proto => $_) for Headpond->protocols;
    $pond->stop;
};

subtest 'files that are cut short' => sub {
    my $pond = Headpond->start(origin => $origin, account => \%account);
    my $blobs = make_blobs('cut', 700, 40_000, 9 * $MIB + 5000);
    read_all_right($pond, $blobs, 'whole');
    $pond->settle;
    for my $path (glob("$pond->{dir}/store/data-*")) {
        truncate($path, 0) or die "$path: $!";
    }
    # What is filled now lies behind the rest, which becomes a hole.
    read_all_right($pond, make_blobs('behind', 3000, 5 * $MIB), 'filled behind');
    read_all_right($pond, $blobs, 'cut short');
    read_all_right($pond, $blobs, 'cut short, with TLS', proto => 'h1s');
    cmp_ok($pond->metric('headpond_store_corrupt_total'), '>', 0, 'what was missing was counted');
    $pond->settle;
    $origin->reset_stats;
    read_all_right($pond, $blobs, 'fetched again');
    is($origin->data_requests, 0, 'and then in cache');
    $pond->stop;
};

subtest 'what a start does not find again' => sub {
    my $pond = Headpond->new(origin => $origin, account => \%account);
    my $path = "$pond->{dir}/store";
    my $blobs = make_blobs('lost', 9000, 50 * $MIB);
    my %lose = (
        short => ['data-file file=data-000000', 'this data file is gone or shorter', sub { truncate "$path/data-000000", 20 * $MIB or die $! }],
        gone => ['data-file file=data-000000', 'this data file is gone or shorter', sub { unlink "$path/data-000000" or die $! }],
        smaller => ['size', 'the size, or the file system, is smaller than it was', sub { $pond->{config}{store}[0]{size} = '48MiB'; $pond->write_config }],
    );
    for my $how (qw(short gone smaller)) {
        my ($reason, $sentence, $lose) = @{ $lose{$how} };
        $pond->{config} = { block_size => '64KiB', store => [{ path => $path, size => '96MiB' }] };
        $pond->write_config;
        $pond->run;
        read_all_right($pond, $blobs, "$how: before");
        $pond->settle;
        my $blocks = $pond->metric('headpond_store_blocks');
        cmp_ok($blocks, '>', 700, "$how: there are $blocks blocks");
        $pond->stop;
        $lose->();
        $pond->run;
        ok($pond->wait_log(qr/ warn store-lost path=\Q$path\E reason=$reason blocks=\d+: $sentence[^\n]* is fetched again when it is asked for$/m, 10),
            "$how: the log says what is lost and what that costs");
        $pond->wait_log(qr/ info store-open /, 10);
        my $lost = $pond->metric('headpond_store_lost_blocks_total', path => $path, reason => $reason =~ s/ .*//r);
        my ($found) = $pond->log_text =~ / store-open .* blocks=(\d+)/; # a store that is full now evicts at once
        is($lost, $blocks - $found, "$how: so does a metric: $lost");
        read_all_right($pond, $blobs, "$how: after");
        $pond->stop;
        $pond->run;
        $pond->wait_log(qr/ info store-open /, 10);
        unlike($pond->log_text, qr/ store-lost /, "$how: the next start has lost nothing");
        $pond->stop;
    }
};

subtest 'files that are taken away' => sub {
    my $pond = Headpond->start(origin => $origin, account => \%account);
    my $blobs = make_blobs('taken', 5 * $MIB);
    read_all_right($pond, $blobs, 'there');
    $pond->settle;
    unlink grep { -f } glob("$pond->{dir}/store/* $pond->{dir}/store/*/*");
    read_all_right($pond, $blobs, 'gone');
    is($pond->admin_get('/healthz')->{status}, 200, 'and headpond lives');
    $pond->stop_now;
    $pond->run;
    read_all_right($pond, $blobs, 'started anew');
    $pond->stop;
};

subtest 'the directory is taken away' => sub {
    for my $filled (0, 1) {
        my $what = $filled ? 'full' : 'empty';
        my $pond = Headpond->start(origin => $origin, account => \%account);
        my $blobs = make_blobs("gone-$what", 900, 40_000, 6 * $MIB + 5);
        read_all_right($pond, $blobs, "$what: there") if $filled;
        $pond->settle;
        system('rm', '-rf', "$pond->{dir}/store") == 0 or die;
        read_all_right($pond, $blobs, "$what: gone");
        read_all_right($pond, make_blobs("gone-$what-more", 800, 50_000, 20 * $MIB), "$what: filled since");
        my $path = "/acct/data/gone-$what-written";
        my $sas = $origin->sas('/acct/data', sp => 'rcwd');
        $origin->blob($path, size => 5000, seed => 1);
        $pond->get($path);
        my $put = $pond->put($path, sas => $sas, body => 'new', headers => ['x-ms-blob-type: BlockBlob']);
        is($put->{status}, 201, "$what: a write goes through");
        is($pond->get($path)->{body}, 'new', "$what: and is seen");
        is($pond->admin_get('/healthz')->{status}, 200, "$what: and headpond lives");
        if (!$filled) {
            cmp_ok($pond->metric('headpond_store_errors_total'), '>', 0, 'errors are counted');
            cmp_ok($pond->metric('headpond_store_rejected_total', reason => 'space'), '>', 0, 'what was not stored as well');
        }
        my @lines = $pond->log_text =~ / (store-\S+) /g;
        cmp_ok(scalar @lines, '<', 10, "$what: the log is not flooded") or diag("@lines");
        $pond->stop;
        $pond->run;
        read_all_right($pond, $blobs, "$what: started anew");
        $pond->settle;
        $origin->reset_stats;
        read_all_right($pond, $blobs, "$what: once more");
        is($origin->data_requests, 0, "$what: from the store");
        $pond->stop;
    }
};

done_testing();
