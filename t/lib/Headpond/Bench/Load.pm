# SPDX-License-Identifier: Apache-2.0
# The loads of contrib/bench and how one is put on one server: by wrk or h2load for rate, cost and the time of whole replies,
# and by our own client, which looks at every byte, for the time of the first one.
#   h1, h1s  wrk, ranges of one large blob at random; s: over TLS
#   h2c, h2s h2load, which knows no ranges at random: whole blobs of that size, one after another
package Headpond::Bench::Load;
use strict;
use warnings;
use Headpond::Bench::World;

our @protocols = qw(h1 h1s h2c h2s);
my %title = (h1 => 'HTTP/1.1', h1s => 'HTTP/1.1 over TLS', h2c => 'HTTP/2 without TLS', h2s => 'HTTP/2 over TLS');
my %short = map { $_ => $Headpond::Bench::World::name{$_} =~ s/^(\d+) (\w).*/$1 . lc $2/er } @Headpond::Bench::World::sizes;
our $STREAMS = 8; # of a connection of HTTP/2, at most
my $client_core = $Headpond::Bench::World::CPU + 1;

# All loads, or those that the words name: h1-64k, or h1 or 64k for all of them; with each number of connections.
sub all {
    my ($words, @connections) = @_;
    my @loads;
    for my $proto (@protocols) {
        for my $size (@Headpond::Bench::World::sizes) {
            my $name = "$proto-$short{$size}";
            next if @$words && !grep { $_ eq $proto || $_ eq $short{$size} || $_ eq $name } @$words;
            push @loads, map { bless { proto => $proto, size => $size, connections => $_, name => $name }, __PACKAGE__ } @connections;
        }
    }
    return @loads;
}

sub names { return map { my $proto = $_; map { "$proto-$short{$_}" } @Headpond::Bench::World::sizes } @protocols }

sub http2 { my ($self) = @_; return $self->{proto} =~ /^h2/ }

# Connections, and the requests that each has under way.
sub shape {
    my ($self) = @_;
    my $readers = $self->{connections};
    return ($readers, 1) unless $self->http2;
    my $streams = $readers < $STREAMS ? $readers : $STREAMS;
    return (int($readers / $streams), $streams);
}

sub size_name { my ($self) = @_; return $Headpond::Bench::World::name{ $self->{size} } }

sub title {
    my ($self) = @_;
    my ($connections, $streams) = $self->shape;
    my $what = $self->http2 ? 'whole blobs' : 'random ranges';
    return "$title{$self->{proto}}, $what of " . $self->size_name . ", $connections connection" . ($connections > 1 ? 's' : '')
        . ($streams > 1 ? " of $streams streams" : '');
}

# A client that opens thousands of connections must have more to do than that: a second for every thousand of them.
sub seconds {
    my ($self, $seconds) = @_;
    my $least = int($self->{connections} / 1000);
    return $seconds > $least ? $seconds : $least;
}

# Why it cannot be put on that server, or nothing.
sub cannot {
    my ($self, $server) = @_;
    my $needs = $self->{connections} + ($server->{at_rest} // 0) + 50;
    my $limit = $Headpond::Bench::World::DESCRIPTORS;
    return $server->cannot($self->{proto}) // ($needs > $limit ? "it takes $needs descriptors, and the limit is $limit" : undef);
}

# Runs a client on its core: what it printed, or death.
sub client {
    my ($seconds, $command, %with) = @_;
    my ($status, $out, $words) = Headpond::Process->run(seconds => $seconds + 30, env => \%Headpond::Bench::World::client_env,
        command => ['taskset', '-c', $client_core, @$command], %with);
    if ($status) {
        my ($explained) = $out =~ /"explained":\["((?:[^"\\]|\\.)*)"/; # by blob-client, of the first reply that was wrong
        die $command->[0] =~ s{.*/}{}r . ': '  . ($explained // substr("$out$words", -600)) =~ s/\s+/ /gr . "\n";
    }
    return $out;
}

# One turn on a server: requests, bytes, seconds, errors, p50 and p99 in ms. Death, too, where many connections were to be
# served and some of them were left waiting: clients do not count that.
sub run {
    my ($self, $server, $seconds, $world) = @_;
    my ($connections) = $self->shape;
    my ($open, %look);
    $seconds = $self->seconds($seconds);
    if ($connections >= 1000) {
        $server->wait_rest;
        %look = (after => $seconds * 0.9, meanwhile => sub { $open = $server->connections });
    }
    my $got = $self->http2 ? $self->run_h2load($server, $seconds, $world, %look) : $self->run_wrk($server, $seconds, $world, %look);
    die "$open of $connections connections were accepted\n" if defined $open && $open < $connections * 0.95;
    return $got;
}

sub run_wrk {
    my ($self, $server, $seconds, $world, %look) = @_;
    my $out = client($seconds, ['wrk', '-t1', "-c$self->{connections}", "-d${seconds}s", '--timeout', '20s',
        '-s', "$Headpond::source/t/bench/ranges.lua", $server->base($self->{proto}) . "/$Headpond::Bench::World::CONTAINER/big", '--',
        $self->{size}, $Headpond::Bench::World::BIG, $world->{step} // $self->{size}], %look);
    my ($requests, $bytes, $us, $errors, $p50, $p99) = $out =~ /RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)/ or die "wrk: $out\n";
    return { requests => $requests, bytes => $bytes, seconds => $us / 1e6, errors => $errors, p50 => $p50 / 1000, p99 => $p99 / 1000 };
}

sub run_h2load {
    my ($self, $server, $seconds, $world, %look) = @_;
    my ($connections, $streams) = $self->shape;
    my $base = $server->base($self->{proto}) . "/$Headpond::Bench::World::CONTAINER";
    my ($uris, $log) = map { "$world->{dir}/h2load.$_" } qw(uris log);
    Headpond::Process::spew($uris, join '', map { "$base/" . Headpond::Bench::World::blob_name($self->{size}, $_) . "\n" }
        1 .. $Headpond::Bench::World::blobs{ $self->{size} });
    unlink $log;
    my $out = client($seconds, ['h2load', '-t1', "-c$connections", "-m$streams", '-D', $seconds, '-i', $uris, "--log-file=$log",
        "--tls13-ciphers=$Headpond::Bench::World::CIPHER"], %look); # it has a list of its own
    my ($took) = $out =~ /finished in ([\d.]+)s/;
    my ($ok, $failed) = $out =~ /(\d+) succeeded, (\d+) failed/ or die "h2load: $out\n";
    my ($others) = $out =~ /status codes: \d+ 2xx, (.*)/;
    my ($data) = $out =~ /traffic:.*\((\d+)\) data/;
    die "h2load spoke HTTP/1.1\n" unless $out =~ /Application protocol: h2/;
    my ($cipher) = $out =~ /^Cipher: (\S+)/m;
    die "the cipher is $cipher\n" if $cipher && $cipher ne $Headpond::Bench::World::CIPHER;
    my @us = sort { $a <=> $b } map { /^\d+\t200\t(\d+)/ ? $1 : () } split /\n/, Headpond::Process::slurp($log);
    @us or die "h2load: no reply: " . substr($out, -400) . "\n";
    # Requests that the end of the time cuts short are no errors.
    my $errors = $failed > $connections * $streams ? $failed : 0;
    $errors += $_ for $others =~ /(\d+) [345]xx/g;
    return { requests => $ok, bytes => $data, seconds => $took || $seconds, errors => $errors,
        p50 => $us[@us * 0.5] / 1000, p99 => $us[@us * 0.99] / 1000 };
}

# Reads for a while and compares every byte, length and range: the first byte's p50 and p99 in ms, or death with what was
# wrong.
sub check {
    my ($self, $server, $seconds) = @_;
    my ($connections) = $self->shape;
    $seconds = $self->seconds($seconds);
    my $out = client($seconds, ["$Headpond::build/t/client/blob-client", 'blocks', '--base', $server->base($self->{proto}) . "/$Headpond::Bench::World::CONTAINER",
        '--proto', $self->{proto}, '--ca', $Headpond::tls{certificate}, '--block', $self->{size}, '--shuffle', '--seconds', $seconds,
        '--concurrency', $self->{connections}, '--connections', $connections < 256 ? $connections : 256, # it opens no more of HTTP/2
        '--blobs', $self->http2 ? Headpond::Bench::World::blobs_spec($self->{size}) : Headpond::Bench::World::big_spec()]);
    my $got = JSON::PP::decode_json($out);
    $got->{requests} > 0 or die "blob-client: no replies\n";
    return { first_p50 => $got->{first_byte_p50_ms}, first_p99 => $got->{first_byte_p99_ms} };
}

1;
