# SPDX-License-Identifier: Apache-2.0
# Pools of two regions that are far from each other: each byte leaves the account once and crosses once, while what a
# blob is and who may read it each region asks the account for itself. No credential of a reader's crosses. A region that
# is cut off, has nothing to sign with, does not know the other, or lies, costs bytes and a little time, and no read.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Blobs;
use Headpond::Differential::Sign;
use Headpond::Pool;
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $MIB = 1 << 20;
my $KIB = 1 << 10;
my $DISTANCE = 20; # ms, one way
my @SIZES = (1, 100_000, $MIB, 3 * $MIB + 7, 16 * $MIB + 1, 20 * $MIB);
# Where blocks are smaller, so that an extent has one MiB.
my @SMALL = (1, 10_000, 300_000, $MIB + 1, 3 * $MIB, 4 * $MIB + 7);
# Until another way is tried, at most, as long as hedges may be; else a connection's silence; and what that and a busy
# machine may take.
my $HEDGE_S = 1;
my $SILENCE_S = 2;
my $SLACK_S = 0.5;

my $origin = Headpond::Origin->start;
my $dir = Headpond::folder();
my $KEY = encode_base64('a key of sixty-four bytes, which is what Azure makes for accounts', '');
$origin->account('acct', challenge => 1);
$origin->account('keyed', key => $KEY);
$origin->container($_) for qw(acct/own keyed/data);
$origin->container('acct/data', public => 1);

# What our own requests are signed with, and what readers have.
my ($ours, $theirs) = map { $origin->sas('/acct/own') } 1, 2;
my @SIGNED = (identity => "sas:$dir/own.sas");
Headpond::Process::spew("$dir/own.sas", "$ours\n");

my %TERMS = (freshness => '3600s', authorize_ttl => '3600s');
my %BLOCKS = (block_size => '64KiB');

sub start {
    my (%o) = @_;
    return Headpond::Pool->start(regions => { west => 2, east => 2 }, origin => $origin, delay_ms => $DISTANCE, store_size => '512MiB',
        account => { %TERMS, @SIGNED }, %o);
}

# Configurations by region, with small blocks: code that gives one account's terms.
sub by_region {
    my ($name, $terms) = @_;
    return sub {
        my ($region) = $_[0] =~ /^(\w+)-/;
        return { %BLOCKS, accounts => [{ name => $name, origin => "http://$origin->{address}/$name", %TERMS, %{ $terms->{$region} } }] };
    };
}

sub blobs { my ($prefix, $rounds, %o) = @_; return Headpond::Blobs->make(origin => $origin, prefix => $prefix, container => 'acct/own', sizes => [(@SIZES) x $rounds], %o) }
sub small_blobs { my ($prefix, %o) = @_; return blobs($prefix, 0, sizes => [(@SMALL) x 5], %o) }

sub names { my ($pool, @regions) = @_; return [map { $_->{name} } $pool->nodes(@regions)] }

# Clients in these regions read all of it, at the same time.
sub both_read {
    my ($pool, $blobs, $what, %o) = @_;
    my @clients = map { $blobs->start_reading($pool, nodes => names($pool, $_), rng => ord, %o) } qw(west east);
    Headpond::Blobs::right($_->finish, $what) for @clients;
}

sub hedged { my ($pool) = @_; return $pool->metrics('headpond_hedged_bytes_total', to => 'origin') }

# What bytes cost beside themselves: one for what a blob is and one for who may read it, in each region; and what was
# asked of the origin because another node was late.
sub allowed { my ($pool, $blobs) = @_; return $blobs->{bytes} + 2 * 2 * $blobs->count + hedged($pool) }

# Of what the nodes of one region ask the other's: how often that ended so.
sub asked {
    my ($pool, $from, $to, $result) = @_;
    return $pool->asked(names($pool, $from), names($pool, $to), $result);
}

# ---- All is well; then it is not. ----

subtest 'two regions' => sub {
    my $pool = start(regions => { west => 3, east => 3 });
    my $cold = blobs('cold', 5);
    $origin->reset_stats;
    both_read($pool, $cold, 'cold', sas => $theirs);
    $pool->settle;
    my ($cost, $allowed, $crossed) = ($cold->cost, allowed($pool, $cold), $pool->crossed);
    ok($cost >= $cold->{bytes} && $cost <= $allowed, 'each byte left the account once') or diag("$cost, not $cold->{bytes} to $allowed");
    # Frames, TLS, requests and connections are 2 % of it.
    cmp_ok($crossed, '<=', 1.02 * $cold->{bytes}, 'and crossed once') or diag("of $cold->{bytes}");
    cmp_ok($crossed, '>=', $cold->{bytes} - hedged($pool), 'for no region asked for all');
    cmp_ok(asked($pool, @$_, 'ok'), '>', 0, "$_->[0] has asked $_->[1]") for ['west', 'east'], ['east', 'west'];
    is(asked($pool, @$_, 'declined') + asked($pool, @$_, 'absent'), 0, 'and got it each time') for ['west', 'east'], ['east', 'west'];
    note(sprintf '%.1f MiB, hedged %.1f MiB, crossed %.4f of it', $cold->{bytes} / $MIB, hedged($pool) / $MIB, $crossed / $cold->{bytes});

    my @pinned = grep { $_->{if_match} } @{ $origin->log };
    my ($sig) = $ours =~ /(sig=\w+)/;
    cmp_ok(scalar @pinned, '>', 0, 'most was asked for by its generation');
    is(scalar(grep { $_->{target} !~ /\Q$sig\E/ } @pinned), 0, 'signed by ourselves');

    $cold->read_until_kept($pool, sub { both_read($pool, $cold, 'warm', sas => $theirs) });
    my $before = $pool->crossed;
    $origin->reset_stats;
    both_read($pool, $cold, 'warm', sas => $theirs);
    is($origin->stats->{requests}, 0, 'warm: the origin is asked nothing') or diag(explain($origin->log));
    cmp_ok($pool->crossed - $before, '<', 64 * $KIB, 'and nothing crosses');

    $before = $pool->crossed;
    for my $case ([$origin->sas('/acct/own', sp => 'w'), 'AuthorizationPermissionMismatch'], [$origin->sas('/acct/own', unknown => 1), 'AuthenticationFailed']) {
        for my $node ($pool->nodes) {
            my $reply = $node->get("$cold->{blobs}[3]{path}", sas => $case->[0]);
            is($reply->{status}, 403, "$node->{name}: one that may not read is refused");
            is($reply->{headers}{'x-ms-error-code'}, $case->[1], 'by the origin\'s word');
        }
    }
    is($cold->cost, 0, 'not a byte of a blob for that');
    cmp_ok($pool->crossed - $before, '<', 64 * $KIB, 'nor over the distance');

    # In the middle of reads.
    my $torn = blobs('torn', 2);
    $before = $pool->crossed;
    my @clients = map { $torn->start_reading($pool, nodes => names($pool, $_), sas => $theirs) } qw(west east);
    ok(Headpond::Process::wait_until(sub { $pool->crossed - $before > 10 * $MIB }), 'bytes cross');
    $pool->cut('east');
    my $began = time;
    Headpond::Blobs::right($_->finish, 'while the regions lose each other') for @clients;
    cmp_ok(time - $began, '<', 15 * Headpond::Process::slowness(), sprintf 'which takes a little time: %.1f s', time - $began);
    cmp_ok($torn->cost, '<=', $torn->{bytes} + allowed($pool, $torn), 'once for each region at the most');

    # Until somebody has found that out, and then.
    both_read($pool, blobs('alone', 1), 'alone', sas => $theirs);
    my $asked = asked($pool, 'west', 'east');
    my $seconds = time;
    my $later = blobs('later', 1);
    Headpond::Blobs::right($later->read($pool, nodes => names($pool, 'west'), sas => $theirs, concurrency => 1), 'one after the other');
    $seconds = time - $seconds;
    # Each of its nodes is tried once a second or less by each of ours.
    cmp_ok(asked($pool, 'west', 'east') - $asked, '<=', 9 * (1 + $seconds), 'a region that is down is passed over');

    # And back.
    $pool->join('east');
    for my $try (1 .. 40) {
        last if asked($pool, 'west', 'east', 'ok') > $asked + 3 && asked($pool, 'east', 'west', 'ok') > $asked;
        both_read($pool, blobs("back-$try", 1), "back, $try", sas => $theirs);
    }
    my $again = asked($pool, 'west', 'east', 'ok');
    my $back = blobs('back', 1);
    $origin->reset_stats;
    both_read($pool, $back, 'when it is back', sas => $theirs);
    cmp_ok(asked($pool, 'west', 'east', 'ok'), '>', $again, 'it is asked again');
    cmp_ok($back->cost, '<=', allowed($pool, $back), 'and each byte leaves the account once, as before') or diag("$back->{bytes}");

    # Before reads; nobody has found out yet.
    my $first = blobs('first', 2);
    $pool->cut('east');
    my ($wrong, @seconds) = (0);
    for my $n (0 .. $first->count - 1) {
        my $blob = $first->{blobs}[$n];
        my $node = ($pool->nodes('west'))[$n % 3];
        my $reply = $node->get($blob->{path}, sas => $theirs, range => 'bytes=0-99');
        $wrong++ unless $reply->{status} == 206 && $reply->{body} eq $origin->bytes($blob->{path}, 'bytes=0-99', $theirs);
        push @seconds, $reply->{seconds} / Headpond::Process::slowness();
    }
    is($wrong, 0, 'a cut costs no read');
    my $shown = join ' ', map { sprintf '%.2f', $_ } @seconds;
    is(scalar(grep { $_ > $SILENCE_S + $SLACK_S } @seconds), 0, "nor more than a silence's time: $shown");
    cmp_ok(scalar(grep { $_ > $HEDGE_S + $SLACK_S } @seconds), '<=', 3, 'and mostly a hedge\'s');
    $pool->stop;
};

# ---- Who signs. ----

# West's own key is the account's; readers have what that key signed. East has none.
subtest 'a region that has nothing to sign with' => sub {
    my %key = (key_file => "$dir/key", authorize => 'key');
    Headpond::Process::spew("$dir/key", "$KEY\n");
    my $pool = start(config => by_region('keyed', { west => \%key, east => {} }));
    my $end = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 3600));
    my $sas = Headpond::Differential::Sign::service_sas(account => 'keyed', key => $KEY, container => 'data', parameters => { sp => 'r', se => $end });
    my @readers = (container => 'keyed/data', sas => $sas);
    my ($east, $west) = map { names($pool, $_) } qw(east west);

    my $had = small_blobs('had', container => 'keyed/data');
    $origin->reset_stats;
    Headpond::Blobs::right($had->read($pool, nodes => $east, @readers), 'those who have it first');
    $had->read_until_kept($pool, sub { $had->read($pool, nodes => $east, @readers) });
    $origin->reset_stats;
    Headpond::Blobs::right($had->read($pool, nodes => $west, @readers), 'give it to the others');
    $pool->settle;
    cmp_ok($had->cost, '<=', 2 * $had->count + hedged($pool), 'who ask the origin for no more than what it is');

    my $new = small_blobs('new', container => 'keyed/data');
    $origin->reset_stats;
    Headpond::Blobs::right($new->read($pool, nodes => $west, @readers), 'what they do not have');
    cmp_ok(asked($pool, 'west', 'east', 'absent'), '>', 0, 'they do not fetch');
    $pool->settle;
    cmp_ok($new->cost, '<=', allowed($pool, $new), 'and the origin is asked once');
    Headpond::Blobs::right($new->read($pool, nodes => $east, @readers), 'read there, too');
    $pool->settle;
    my $twice = $new->cost - $new->{bytes};
    cmp_ok($new->cost, '<=', $new->{bytes} + allowed($pool, $new), 'once by each region at the most');
    cmp_ok($twice, '<', 0.9 * $new->{bytes}, 'and what those who sign are to fetch, once in all');

    my $cold = small_blobs('both', container => 'keyed/data');
    $origin->reset_stats;
    both_read($pool, $cold, 'at the same time', @readers);
    $pool->settle;
    cmp_ok($cold->cost, '<=', $cold->{bytes} + allowed($pool, $cold), 'once by each region at the most');
    $pool->stop;
};

# ---- Who knows whom. ----

subtest 'one region does not know the other' => sub {
    my $pool = start(config => sub { return { %BLOCKS, $_[0] =~ /^east/ ? (pool => { regions => undef }) : () } });
    my $cold = small_blobs('view');
    $origin->reset_stats;
    both_read($pool, $cold, 'cold', sas => $theirs);
    $pool->settle;
    is(asked($pool, 'east', 'west'), 0, 'it asks for itself');
    cmp_ok(asked($pool, 'west', 'east', 'ok'), '>', 0, 'and is asked');
    is(asked($pool, 'west', 'east', 'declined'), 0, 'in which it sees nothing wrong');
    cmp_ok($cold->cost, '<=', $cold->{bytes} + allowed($pool, $cold), 'once by each region at the most');
    is(scalar(grep { $_->{status} == 508 } map { $_->access(1) } $pool->nodes), 0, 'nothing goes in circles');
    $pool->stop;
};

# West believes for an hour what it knows of a blob, and east asks each time.
subtest 'one region knows of a new generation' => sub {
    my $pool = start(config => by_region('acct', { west => { @SIGNED }, east => { @SIGNED, freshness => '0s' } }));
    my %nodes = map { $_ => names($pool, $_) } qw(west east);
    my @blobs = map { { name => "turned-$_", size => (1 + $_ % 3) * $MIB - 3, seed => 1000 + 2 * $_ } } 1 .. 6;
    $origin->blob("/acct/own/$_->{name}", size => $_->{size}, seed => $_->{seed}) for @blobs;
    my $read = sub {
        my ($region, $later, $what) = @_;
        my $list = join ',', map { my $blob = $_; "$blob->{name}:$blob->{size}:" . join '/', map { $blob->{seed} + $_ } @$later } @blobs;
        my $got = $pool->client('blocks', blobs => $list, container => 'acct/own', once => [], sas => $theirs, block => 256 * $KIB, nodes => $nodes{$region}, timeout => 120);
        Headpond::Blobs::right($got, $what);
    };
    $read->($_, [0], "$_ at first") for qw(west east);
    $pool->settle;
    $origin->touch("/acct/own/$_->{name}", seed => $_->{seed} + 1) for @blobs;
    $read->('east', [1], 'east has the new one at once');
    # What it has not got any more of the old one it finds out by.
    $read->('west', [0, 1], 'west the old one, or the new one');
    $read->('east', [1], 'east again');
    $pool->stop;
};

# ---- A member that writes down what it is asked, and lies. ----

subtest 'what crosses, and what comes back' => sub {
    my $pool = Headpond::Pool->new(regions => { west => 1, east => 1 }, origin => $origin, delay_ms => $DISTANCE,
        account => { %TERMS, @SIGNED }, config => { %BLOCKS, first_byte_timeout => '4s' });
    my $place = $pool->place('east-1');
    my $spy = Headpond::Process->start(log => "$dir/spy.log", out => "$dir/spy.out",
        command => ["$Headpond::build/t/pool/spy", $place->{peer}, @{ $place->{files} }{qw(certificate key ca)}]);
    ok($spy->wait_log(qr/^listening /m, 20, "$dir/spy.out"), 'the spy listens') or diag($spy->log_text);
    my $node = $pool->node('west-1');
    $node->run;
    $pool->wait_known($node);
    my $lines = sub { my ($way) = @_; return grep { /\t\S+\/$way-/ } split /\n/, Headpond::Process::slurp("$dir/spy.out") };

    my $bearer = $origin->bearer('/acct/own');
    my $seed = 2000;
    for my $case (['whole', 4, 'an honest one'], ['absent', 6, 'one that has it not'], ['half', 6, 'one that breaks off'], ['shifted', 6, 'one that gives something else'],
        ['other', 6, 'another generation'], ['changed', 6, 'one that has another generation'], ['failed', 6, 'one that fails'], ['refused', 6, 'one that refuses'], ['mute', 4, 'one that never answers']) {
        my ($way, $count, $what) = @$case;
        my ($wrong, $longest) = (0, 0);
        for my $n (1 .. 2 * $count) {
            my $size = $MIB - $n;
            # Who mostly has nothing is asked seldom: it is honest in between.
            my $name = ($n % 2 ? $way : 'whole') . "-$size-" . ++$seed;
            $origin->blob("/acct/own/$name", size => $size, seed => $seed);
            my $reply = $n % 3 ? $node->get("/acct/own/$name", sas => $theirs) : $node->get("/acct/own/$name", headers => [$bearer]);
            $longest = $reply->{seconds} if $reply->{seconds} > $longest;
            $wrong++ unless $reply->{status} == 200 && $reply->{body} eq $origin->bytes("/acct/own/$name", undef, $ours);
        }
        is($wrong, 0, "$what: every byte is right");
        cmp_ok(scalar $lines->($way), '>', 0, 'and it was asked');
        # At most as long as the origin may take, where hedges are used up.
        cmp_ok($longest, '<', 6 * Headpond::Process::slowness(), sprintf 'no reader waits for long: %.2f s', $longest);
    }
    my @all = $lines->('\w+');
    is(scalar(grep { !m{^GET\t/acct/own/[\w-]+\t} } @all), 0, 'what crosses is a path') or diag(explain(\@all));
    is(scalar(grep { /\t(?:authorization|cookie)\b|sig=|Bearer/i } @all), 0, 'without a credential');
    is(scalar(grep { !/\tif-match: "[^"]+"/i } @all), 0, 'for one generation');
    is(scalar(grep { !/\theadpond-peer: 1;[^\t]*\bgranted\b/i } @all), 0, 'by who vouches for it');
    is($spy->stop, 0, 'the spy ends');
    $pool->stop;
};

$origin->stop;
done_testing;
