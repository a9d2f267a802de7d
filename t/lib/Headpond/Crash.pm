# SPDX-License-Identifier: Apache-2.0
# headpond killed at random instants under a mixed load, and restarted on the same store. What every client reads is checked
# (CrashLoad.pm); after a restart, so is that what was committed two seconds before the kill is there.
#
# A kill comes in one of three ways. In a storm: reads of more than the store holds, so that it evicts all the time, beside
# reads, writes and deletions. In a calm: the same without the large reads, once a container that fits has been read twice;
# of its blocks those that were hits in the second reading, two seconds and more before the kill, and in a third just before it
# (so that they were not evicted meanwhile) have to be hits after it. And while headpond starts.
package Headpond::Crash;
use strict;
use warnings;
use Headpond;
use Headpond::CrashLoad;
use Test::More;
use Time::HiRes qw(time sleep);

my $MIB = 1 << 20;
my $WORKERS = 4;
my $KEPT = 100;

sub kept_size { my ($i) = @_; return $i < 80 ? 3000 + 900 * $i : int((1 + ($i - 80) / 16) * $MIB) + $i }

sub fill_origin {
    my ($origin, $asker, $sas) = @_;
    my $put = sub {
        my ($container, $name, $version, $size) = @_;
        my $reply = $asker->ask($origin->{address}, PUT => "/acct/$container/$name?$sas->{$container}",
            ["Content-Length: $size", 'x-ms-blob-type: BlockBlob', "x-ms-meta-v: $version"],
            Headpond::CrashLoad::bytes($name, $version, 0, $size));
        $reply && $reply->{status} == 201 or die "the origin does not take $name";
    };
    $put->('long', "big-$_", 0, $Headpond::CrashLoad::BIG_SIZE) for 0 .. $Headpond::CrashLoad::BIG - 1;
    $put->('kept', "kept-$_", 0, kept_size($_)) for 0 .. $KEPT - 1;
    for my $blob (0 .. Headpond::CrashLoad::blob_count() - 1) {
        my (undef, undef, $container, $name) = split m{/}, Headpond::CrashLoad::path($blob);
        $put->($container, $name, 0, Headpond::CrashLoad::size($blob, 0));
    }
}

# Reads the container that fits, block by block, the blocks in %$only if it is given: those that took no data from the origin.
# (The first of all asks who may read: `fwd=stale`.) `first` is called after the first.
sub read_kept {
    my ($self, $only, $first) = @_;
    my %hit;
    for my $i (0 .. $KEPT - 1) {
        for (my $from = 0; $from < kept_size($i); $from += $MIB) {
            next if $only && !$only->{"$i $from"};
            my $end = $from + $MIB < kept_size($i) ? $from + $MIB - 1 : kept_size($i) - 1;
            my $reply = $self->{asker}->ask($self->{pond}{http}, GET => "/acct/kept/kept-$i", ["Range: bytes=$from-$end"]);
            if (!$reply || $reply->{status} != 206) {
                diag("kept-$i from $from: " . ($reply ? $reply->{status} : 'no answer'));
                next;
            }
            $self->{asker}{replies}++;
            $self->{asker}->check_bytes("kept-$i", 0, $from, kept_size($i), $reply);
            my $hit = ($reply->{headers}{'cache-status'} // '') =~ /^headpond; (?:hit|fwd=stale)$/;
            $hit{"$i $from"} = 1 if $hit;
            $first->() if $first;
            $first = undef;
        }
    }
    return \%hit;
}

sub phase {
    my ($self, $phase) = @_;
    my ($port) = $self->{pond}{http} =~ /:(\d+)$/;
    Headpond::CrashLoad::set_phase($self->{table}, $phase, $port);
}

# Until no client is at it.
sub pause {
    my ($self) = @_;
    $self->phase('pause');
    return Headpond::Process::wait_until(sub {
        return !grep { Headpond::CrashLoad::phase_of($self->{table}, $_) != 0 } 0 .. $WORKERS - 1;
    }, 60);
}

sub evictions { my ($self) = @_; return $self->{pond}->metric('headpond_store_evictions_total') }

# Some instant, while the load goes on: this is the campaign's dice, not a wait for something.
sub some_time { my ($least, $most) = @_; sleep $least + rand $most - $least }

# Brings the container that fits into the store and lets two seconds and more pass: the blocks that were there before them and
# are still.
sub calm {
    my ($self) = @_;
    $self->pause or return;
    read_kept($self);
    $self->{pond}->settle;
    my $there = read_kept($self);
    $self->phase('calm');
    some_time(2, 3.5);
    $self->{evicted_last} = -$self->evictions;
    return read_kept($self, $there);
}

# Starts it again; sometimes it is killed while it starts, first.
sub restart {
    my ($self, $early) = @_;
    my $pond = $self->{pond};
    if ($early) {
        my $process = Headpond::Process->start(
            command => ["$Headpond::build/headpond", '-c', "$pond->{dir}/headpond.yaml"], log => "$pond->{dir}/early.log",
            out => "$pond->{dir}/out");
        some_time(0, 0.15);
        $process->stop_now;
        $self->{kills}++;
    }
    my $began = time;
    $pond->run;
    $self->{asker}{socket} = {}; # the new one may have an old one's port
    my $emptied = $pond->log_text =~ / store-reset /;
    $self->{emptied} += $emptied;
    $self->{emptied_late} += $emptied && !$early;
    return ($began, $emptied);
}

# What was committed is there; the share of hits.
sub measure {
    my ($self, $there, $began) = @_;
    my $first;
    $self->{origin}->reset_stats;
    my $hit = read_kept($self, $there, sub { $first = time - $began });
    my $wanted = keys %$there;
    my $asked = grep { $_->{target} =~ m{^/acct/kept/} && $_->{method} eq 'GET' && $_->{body_bytes} > 1 } @{ $self->{origin}->log };
    is($asked, 0, "kill $self->{kills}: what says it is a hit took no data") if $asked > 0 && keys %$hit == $wanted;
    push @{ $self->{first_ms} }, 1000 * $first if defined $first;
    return unless $wanted;
    push @{ $self->{wanted} }, $wanted;
    my $share = keys(%$hit) / $wanted;
    push @{ $self->{shares} }, $share;
    return if $share == 1;
    # Between the last look and the kill, or by a start that found itself short of room, one may have been evicted.
    my ($dropped) = $self->{pond}->log_text =~ / store-open .* dropped=(\d+)/;
    note(sprintf 'kill %d: %d of %d committed blocks hit, missing: %s; %d evicted just before the kill, %d since the start, %d rows dropped',
        $self->{kills}, scalar keys %$hit, $wanted, join(', ', grep { !$hit->{$_} } sort keys %$there), $self->{evicted_last},
        $self->evictions, $dropped // 0);
}

sub cycle {
    my ($self, $kind) = @_;
    my $there;
    $self->phase('storm');
    some_time(0.3, 1.5);
    $there = $self->calm if $kind ne 'storm';
    $self->{corrupt} += $self->{pond}->metric('headpond_store_corrupt_total');
    some_time(0, 0.2);
    my $evictions = $self->evictions;
    $self->{pond}->stop_now;
    $self->{evicted} += $evictions;
    $self->{evicted_last} += $evictions;
    $self->{kills}++;
    my ($began, $emptied) = $self->restart($kind eq 'early');
    $self->pause;
    $self->measure($there, $began) if $there && !$emptied;
    is(Headpond::sanitizer_words($self->{pond}->log_text), '', "kill $self->{kills}: no complaint")
        if Headpond::sanitizer_words($self->{pond}->log_text) ne '';
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[$#sorted / 2] }

sub finish_workers {
    my ($self, @pids) = @_;
    my %sum;
    $self->phase('end');
    waitpid $_, 0 for @pids;
    for my $number (0 .. $WORKERS - 1) {
        my $said = eval { JSON::PP::decode_json(Headpond::Process::slurp("$self->{dir}/worker-$number")) } // { failed => 'no word' };
        fail("worker $number: $said->{failed}") if $said->{failed};
        diag($_) for @{ $said->{complaints} // [] };
        $sum{$_} += $said->{$_} // 0 for qw(replies cut errors writes past wrong resurrected);
    }
    diag($_) for @{ $self->{asker}{complaints} };
    $sum{$_} += $self->{asker}{$_} for qw(replies wrong);
    return \%sum;
}

# Runs it; checks are made as tests. Returns the figures.
sub run {
    my (%o) = @_;
    my $origin = Headpond::Origin->start;
    my %sas;
    for (@Headpond::CrashLoad::containers, 'kept') {
        $origin->container("acct/$_", public => 1);
        $sas{$_} = $origin->sas("/acct/$_", sp => 'rcwd');
    }
    my $dir = Headpond::folder();
    my $asker = bless { socket => {}, complaints => [], map { $_ => 0 } qw(replies wrong errors) }, 'Headpond::CrashLoad';
    fill_origin($origin, $asker, \%sas);
    my $pond = Headpond->new(origin => $origin, account => { authorize_ttl => '3600s', containers => [
        { name => 'brief', freshness => '5s' }, { name => 'long', freshness => '3600s' },
        { name => 'forever', freshness => 'immutable' }, { name => 'kept', freshness => '3600s' }] });
    $pond->{config} = { store => [{ path => "$pond->{dir}/store", size => '160MiB' }] };
    $pond->write_config;
    $pond->run;
    my $seed = $o{seed} // 1;
    srand $seed;
    my $self = bless { pond => $pond, origin => $origin, asker => $asker, dir => $dir, shares => [], wanted => [], first_ms => [],
        table => Headpond::CrashLoad::table_new("$dir/table", $WORKERS),
        map { $_ => 0 } qw(kills emptied emptied_late evicted evicted_last corrupt) }, __PACKAGE__;
    my @pids = Headpond::CrashLoad->start(dir => "$dir", workers => $WORKERS, seed => $seed, origin => $origin->{address}, sas => \%sas);
    for (my $i = 0; $self->{kills} < $o{kills}; $i++) {
        $self->cycle($i % 10 == 9 ? 'early' : $i % 3 == 2 ? 'storm' : 'calm');
    }
    my $sum = $self->finish_workers(@pids);
    report($self, $sum);
    $pond->stop;
    return { %$sum, map { $_ => $self->{$_} } qw(kills shares first_ms) };
}

sub report {
    my ($self, $sum) = @_;
    my ($worst) = sort { $a <=> $b } @{ $self->{shares} };
    note(sprintf '%d kills, %d replies checked (%d of them cut short by a kill), %d writes through headpond, %d past it, %d without an answer',
        $self->{kills}, @$sum{qw(replies cut writes past errors)});
    note(sprintf '%d blocks evicted; %d restarts on a store emptied because its opening was killed', @$self{qw(evicted emptied)});
    note(sprintf 'committed blocks that hit after a restart: least %.2f %%, median %.2f %%, of %d restarts measured, %.0f blocks in each',
        100 * ($worst // 0), 100 * (median(@{ $self->{shares} }) // 0), scalar @{ $self->{shares} }, median(@{ $self->{wanted} }) // 0);
    note(sprintf 'start to the first hit: median %.0f ms, longest %.0f ms', median(@{ $self->{first_ms} }) // 0,
        (sort { $b <=> $a } @{ $self->{first_ms} })[0] // 0);
    is($sum->{wrong}, 0, "no wrong byte in $sum->{replies} replies");
    is($sum->{resurrected}, 0, "nothing invalidated came back in $self->{kills} kills");
    cmp_ok($sum->{writes}, '>', 0, "$sum->{writes} writes were answered");
    cmp_ok($self->{evicted}, '>', 0, "$self->{evicted} blocks were evicted");
    cmp_ok(scalar @{ $self->{shares} }, '>', 0, 'restarts were measured');
    cmp_ok($worst // 0, '>=', 0.99, 'of what was committed two seconds before, at least 99 % hit after each');
    is($self->{emptied_late}, 0, 'no store was emptied but by a kill while it was opened');
    is($self->{corrupt}, 0, 'nothing was found damaged');
}

1;
