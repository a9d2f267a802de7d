# SPDX-License-Identifier: Apache-2.0
# A pool whose nodes come and go while it is read, whose blobs are written, and whose records become stale: nobody's read
# fails or is wrong, and the origin is asked no more than that takes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Pool;
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;
my $BRIEF = 2; # s, the freshness of a container
my $REQUESTS = 50; # of a kind, on each connection

my $origin = Headpond::Origin->start;
$origin->container('acct/data', public => 1);
$origin->container("acct/$_") for qw(brief live);

sub start {
    my (%o) = @_;
    return Headpond::Pool->start(regions => { west => 5 }, origin => $origin, store_size => '512MiB',
        account => { freshness => '3600s', authorize_ttl => '3600s',
            containers => [{ name => 'brief', freshness => "${BRIEF}s" }, { name => 'live', freshness => '0s' }] }, %o);
}

# ---- Records. ----

# Asks all nodes at the same time, each over one connection: HEADs and GETs in turns. The statuses, and which ETags.
sub ask_all {
    my ($pool, $path, $sas) = @_;
    my %seen;
    my $text = '';
    for my $n (1 .. $REQUESTS) {
        $text .= "$_ $path?$sas HTTP/1.1\r\nHost: x\r\n" . ($_ eq 'GET' ? "Range: bytes=0-9\r\n" : '') . "\r\n" for qw(HEAD GET);
    }
    my @sockets = map { $_->connect } $pool->nodes;
    syswrite $_, $text for @sockets;
    for my $socket (@sockets) {
        my ($got) = Headpond::Http::read_all($socket, 20, sub { (() = $_[0] =~ m{HTTP/1\.1 \d+ }g) == 2 * $REQUESTS && $_[0] =~ /\r\n\r\n.{10}\z/s });
        $seen{$_}++ for $got =~ m{HTTP/1\.1 (\d+) }g;
        $seen{$_}++ for $got =~ m{^etag: (\S+)}gmi;
    }
    return \%seen;
}

sub etag_of { my ($path, $sas) = @_; return Headpond::Http::request(url => "http://$origin->{address}$path?$sas", method => 'HEAD')->{headers}{etag} }

subtest 'a stale blob' => sub {
    my $pool = start();
    my $sas = $origin->sas('/acct/brief');
    my $path = '/acct/brief/stale';
    $origin->blob($path, size => 100_000, seed => 3);
    my $etag = etag_of($path, $sas);
    ask_all($pool, $path, $sas);
    for my $round (1 .. 3) {
        Time::HiRes::sleep($BRIEF + 1.1);
        $origin->reset_stats;
        my $began = time;
        my $seen = ask_all($pool, $path, $sas);
        my $windows = 1 + int((time - $began) / $BRIEF);
        is_deeply($seen, { 200 => 5 * $REQUESTS, 206 => 5 * $REQUESTS, $etag => 10 * $REQUESTS }, 'all are answered, alike');
        # A GET that comes first brings no more than the record for GETs.
        cmp_ok($origin->path_stats($path)->{requests}, '<=', 2 * $windows, 'by a validation for HEADs and one for GETs')
            or diag(explain($origin->log($path)));
        my @ages = map { $_->head($path, sas => $sas)->{headers}{age} } $pool->nodes;
        is(scalar(grep { $_ > $BRIEF } @ages), 0, "no answer is older than may be: @ages");
    }
    $pool->stop;
};

subtest 'writes' => sub {
    my $pool = start();
    my @nodes = $pool->nodes;
    for my $container (qw(live brief)) {
        my $sas = $origin->sas("/acct/$container", sp => 'rw');
        my $path = "/acct/$container/written";
        my $count = 0;
        for my $writer (@nodes) {
            my $text = "$container: " . ++$count . ' ' . 'x' x (1000 * $count);
            my $put = $writer->put($path, sas => $sas, headers => ['x-ms-blob-type: BlockBlob'], body => $text);
            is($put->{status}, 201, "$container: written through $writer->{name}");
            my $until = time + ($container eq 'live' ? 0 : $BRIEF + 1);
            is($writer->get($path, sas => $sas)->{body}, $text, "$container: whoever wrote it reads it");
            for my $node (@nodes) {
                my $body = $node->get($path, sas => $sas)->{body};
                while ($body ne $text && time < $until) {
                    Time::HiRes::sleep(0.1);
                    $body = $node->get($path, sas => $sas)->{body};
                }
                is($body, $text, "$container: and so does $node->{name}");
            }
        }
        # By one that has never read it, after all others have.
        my $unread = "/acct/$container/unread";
        $origin->blob($unread, size => 1000, seed => 8);
        $nodes[$_]->get($unread, sas => $sas) for 1 .. $#nodes;
        is($nodes[0]->put($unread, sas => $sas, headers => ['x-ms-blob-type: BlockBlob'], body => 'new')->{status}, 201, "$container: written unread");
        ok($nodes[0]->get($unread, sas => $sas)->{body} eq 'new', "$container: whoever wrote it reads that");
        is($nodes[2]->delete_blob($path, sas => $origin->sas("/acct/$container", sp => 'rwd'))->{status}, 202, "$container: deleted");
        Time::HiRes::sleep($BRIEF + 1) if $container eq 'brief';
        is($_->get($path, sas => $sas)->{status}, 404, "$container: gone for $_->{name}") for @nodes;
    }
    $pool->stop;
};

# ---- Nodes. ----

my @blobs = map { { name => "b$_", size => (1 + $_ % 5) * 4 * $MIB + $_, seed => 10 + $_ } } 1 .. 15;
my $bytes = 0;
for (@blobs) {
    $origin->blob("/acct/data/$_->{name}", size => $_->{size}, seed => $_->{seed});
    $bytes += $_->{size};
}
my $BLOBS = join ',', map { "$_->{name}:$_->{size}:$_->{seed}" } @blobs;
my @survivors = map { "west-$_" } 1 .. 4;

sub reading {
    my ($pool, %o) = @_;
    return $pool->start_client('blocks', blobs => $BLOBS, once => [], shuffle => [], block => $MIB, concurrency => 40, timeout => 60, nodes => \@survivors, %o);
}

sub went_well {
    my ($got, $what) = @_;
    ok($got->{requests} && !$got->{mismatches} && !$got->{failures} && !$got->{errors}, "$what: no read fails or is wrong") or diag(explain($got));
}

sub cost { my $sum = 0; $sum += $origin->path_stats("/acct/data/$_->{name}")->{body_bytes} for @blobs; return $sum }

# What one of five nodes has at home, at the most; and what its clients may have under way.
my $SHARE = $bytes * 2 / 5;
my $UNDER_WAY = 40 * $MIB;

subtest 'a node that is killed' => sub {
    my $pool = start();
    my $client = reading($pool);
    $pool->wait_metrics(20 * $MIB, 'headpond_peer_bytes_total');
    $pool->kill('west-5');
    went_well($client->finish, 'while it dies');
    $pool->settle;
    # Of what it had under way a part may have come to nobody.
    cmp_ok(cost(), '<=', $bytes + @blobs + $SHARE + $UNDER_WAY, 'no more left the origin than what it held') or diag("of $bytes");
    $origin->reset_stats;
    went_well(reading($pool)->finish, 'without it');
    $pool->settle;
    cmp_ok(cost(), '<=', $SHARE + $UNDER_WAY, 'what it held came once more');
    # Until each node had found out, each had fetched for itself what it was asked for.
    $origin->reset_stats;
    went_well(reading($pool)->finish, 'again');
    cmp_ok(cost(), '<=', $SHARE, 'those who are at home there now have it, too');
    # A disk that is busy may have left some of it out.
    for (1 .. 5) {
        $pool->settle;
        $origin->reset_stats;
        went_well(reading($pool)->finish, 'and again');
        last if !cost();
    }
    is(cost(), 0, 'and nothing more is asked for');
    $pool->restart('west-5');
    went_well(reading($pool, nodes => [map { "west-$_" } 1 .. 5])->finish, 'when it is back');
    $pool->stop;
};

subtest 'a node that is cut off' => sub {
    my $pool = start(relays => 1);
    $origin->reset_stats;
    my $client = reading($pool);
    $pool->wait_metrics(20 * $MIB, 'headpond_peer_bytes_total');
    $pool->cut('west-5');
    my $began = time;
    went_well($client->finish, 'while it falls silent');
    cmp_ok(time - $began, '<', 10 * Headpond::Process::slowness(), sprintf 'which takes a little time: %.1f s', time - $began);
    $pool->settle;
    cmp_ok(cost(), '<=', $bytes + @blobs + $SHARE + $UNDER_WAY, 'no more left the origin than what it held');
    went_well(reading($pool, nodes => ['west-5'])->finish, 'its own clients notice nothing');
    $pool->join('west-5');
    my $asked = sub { my $sum = 0; $sum += $_->metric('headpond_peer_requests_total', peer => 'west-5', result => 'ok') for map { $pool->node($_) } @survivors; return $sum };
    my $before = $asked->();
    # Whoever has found it down tries it now and then, by what it is asked for.
    for my $try (1 .. 20) {
        $origin->blob("/acct/data/later-$try", size => 1000, seed => $try);
        $_->get("/acct/data/later-$try") for map { $pool->node($_) } @survivors;
        last if $asked->() > $before + 3;
        Time::HiRes::sleep(0.5);
    }
    cmp_ok($asked->(), '>', $before + 3, 'when it is back the others ask it again');
    went_well(reading($pool, nodes => [map { "west-$_" } 1 .. 5])->finish, 'afterwards');
    $pool->stop;
};

subtest 'a node that is slow' => sub {
    my $distance = 600; # ms, one way
    my @small = map { "s$_" } 1 .. 900;
    my ($long, $extents) = ('long', 9);
    $origin->blob("/acct/data/$_", size => 1000, seed => 4) for @small;
    $origin->blob("/acct/data/$long", size => $extents * 16 * $MIB, seed => 6);
    my $expected = $origin->bytes("/acct/data/$long");
    my $pool = Headpond::Pool->start(regions => { west => 3 }, origin => $origin, store_size => '512MiB', relays => 1,
        account => { freshness => '3600s', authorize_ttl => '3600s' }, config => { workers => 1 });
    my ($reader, $other) = map { $pool->node($_) } qw(west-1 west-3);
    my $read = sub {
        my ($node, @names) = @_;
        my $got = $node->client('blocks', blobs => CORE::join(',', map { "$_:1000:4" } @names), once => [], concurrency => 4, timeout => 60);
        ok($got->{requests} == @names && !$got->{mismatches} && !$got->{failures} && !$got->{errors}, "$node->{name} has read them") or diag(explain($got));
    };
    $read->($other, @small);
    $other->get("/acct/data/$long");
    $pool->settle;
    # What it may send twice it has to earn first.
    $read->($reader, @small[0 .. 799]);
    is($reader->get("/acct/data/$long", range => 'bytes=0-9')->{status}, 206, 'a blob is known');
    $origin->reset_stats;
    my @slow = $pool->pairs_around('west-2');
    $pool->{relay}->delay($distance, @slow);
    my ($longest, $wrong) = (0, 0);
    for my $extent (1 .. $extents - 1) {
        my $first = $extent * 16 * $MIB + 3 * $MIB;
        my $began = time;
        my $reply = $reader->get("/acct/data/$long", range => sprintf 'bytes=%d-%d', $first, $first + 999);
        my $took = time - $began;
        $longest = $took if $took > $longest;
        $wrong++ if $reply->{status} != 206 || $reply->{body} ne substr $expected, $first, 1000;
    }
    is($wrong, 0, 'what is at home there is read');
    cmp_ok($longest, '<', $distance / 1000, sprintf 'long before it could have brought it: %.0f ms', 1000 * $longest);
    cmp_ok($reader->metric('headpond_hedges_total', to => 'member'), '>', 0, 'by who comes next');
    is($origin->stats->{requests}, 0, 'which had it, too');
    # Of a blob that it has never met it asks for the record first.
    $longest = 0;
    for my $name (@small[800 .. 809]) {
        my $began = time;
        is($reader->get("/acct/data/$name")->{status}, 200, 'a blob is read');
        $longest = time - $began if time - $began > $longest;
    }
    cmp_ok($longest, '<', 2 * $distance / 1000, sprintf 'of which some have their records there: %.0f ms', 1000 * $longest);
    cmp_ok($reader->metric('headpond_hedges_total', to => 'origin'), '>', 0, 'which the origin was asked for, too');
    $pool->{relay}->delay(0, @slow);
    $pool->stop;
};

subtest 'a restart of all, one after the other' => sub {
    my $pool = start();
    went_well(reading($pool)->finish, 'before');
    for my $name (map { "west-$_" } 1 .. 5) {
        my @others = grep { $_ ne $name } map { "west-$_" } 1 .. 5;
        my $client = reading($pool, nodes => \@others);
        $pool->restart($name);
        went_well($client->finish, "$name restarts");
    }
    $pool->stop;
};

$origin->stop;
done_testing;
