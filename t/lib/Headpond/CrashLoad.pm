# SPDX-License-Identifier: Apache-2.0
# The clients of a headpond that is killed again and again: processes that read and write blobs of known bytes and know, of
# each blob, what may be read now.
#
# A blob has versions, counted up by its one writer. What all clients know of it lies in a file: its ceiling, the last version
# that anybody began to write, and its floor, below which nothing may be read any more: a version whose write was answered
# by headpond, or, where `freshness` says how long it may be missed, that was written past headpond long enough ago. A reply is
# right when the version that it says it is lies between the two and its bytes are that version's.
package Headpond::CrashLoad;
use strict;
use warnings;
use Digest::SHA ();
use IO::Socket::INET;
use IO::Select;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time sleep);

our $MIB = 1 << 20;
our $BLOBS = 12;    # with versions, in each container
our $BIG = 10;      # that do not change, read to make room scarce
our $BIG_SIZE = 16 * $MIB;
our @containers = qw(brief long forever); # freshness 5s, 3600s, immutable
my $BRIEF_SECONDS = 5;

# ---- What is where. ----

# A block's bytes: noise, the same in all, under a key of its own.
my $noise;
sub block {
    my ($name, $version, $number) = @_;
    $noise //= do {
        my $text = '';
        $text .= Digest::SHA::sha512($_) for 1 .. $MIB / 64;
        $text;
    };
    return $noise ^ (Digest::SHA::sha512("$name $version $number") x ($MIB / 64));
}

sub bytes {
    my ($name, $version, $from, $length) = @_;
    my $text = '';
    while ($length > 0) {
        my $at = $from % $MIB;
        my $piece = $MIB - $at < $length ? $MIB - $at : $length;
        $text .= substr block($name, $version, int $from / $MIB), $at, $piece;
        $from += $piece;
        $length -= $piece;
    }
    return $text;
}

sub deleted { my ($version) = @_; return $version % 6 == 5 }

sub size {
    my ($index, $version) = @_;
    return (3000, 40_000, 900_000, 2 * $MIB)[$index % 4] + ($version % 3) * (100 + 50_000 * ($index % 4)) + $index;
}

sub name { my ($index) = @_; return 'v-' . int $index / @containers }
sub path { my ($index) = @_; return "/acct/$containers[$index % @containers]/" . name($index) }
sub blob_count { return $BLOBS * @containers }

# ---- What all clients know: a file of words. ----

my %phase = (pause => 0, calm => 1, storm => 2, end => 3);

sub table_new {
    my ($path, $workers) = @_;
    open my $file, '+>', $path or die "$path: $!";
    syswrite $file, "\0" x (8 * (2 + $workers + 2 * blob_count()));
    return $file;
}

sub word {
    my ($table, $at, $value) = @_;
    sysseek $table, 8 * $at, 0;
    if (defined $value) {
        syswrite $table, pack 'Q', $value;
        return $value;
    }
    sysread $table, my $text, 8;
    return unpack 'Q', $text;
}

# Word 0: phase and port; from 2 on: of each worker, the phase it is in; then floors and ceilings.
sub set_phase { my ($table, $phase, $port) = @_; return word($table, 0, $phase{$phase} << 32 | $port) }
sub phase_of { my ($table, $worker) = @_; return word($table, 2 + $worker) }

# ---- A worker. ----

sub floor_at { my ($self, $blob) = @_; return 2 + $self->{workers} + 2 * $blob }
sub floor { my ($self, $blob, @value) = @_; return word($self->{table}, $self->floor_at($blob), @value) }
sub ceiling { my ($self, $blob, @value) = @_; return word($self->{table}, $self->floor_at($blob) + 1, @value) }

sub complain {
    my ($self, $kind, $text) = @_;
    $self->{$kind}++;
    push @{ $self->{complaints} }, "$kind: $text" if @{ $self->{complaints} } < 20;
}

sub dial {
    my ($self, $where) = @_;
    return $self->{socket}{$where} if $self->{socket}{$where};
    my $socket = IO::Socket::INET->new(PeerAddr => $where, Proto => 'tcp', Timeout => 5) or return;
    binmode $socket;
    return $self->{socket}{$where} = $socket;
}

# A request and its reply, as far as it came: {status, headers, body, whole}; nothing without a head.
sub ask {
    my ($self, $where, $method, $target, $headers, $body) = @_;
    my $socket = $self->dial($where) or return;
    my $text = join "\r\n", "$method $target HTTP/1.1", 'Host: x', @$headers, '', $body // '';
    local $SIG{PIPE} = 'IGNORE';
    my $sent = 0;
    while ($sent < length $text) {
        my $n = syswrite $socket, $text, 1 << 20, $sent;
        last unless $n;
        $sent += $n;
    }
    my ($got, $end, $select) = ('', time + 60, IO::Select->new($socket));
    my $more = sub {
        return 0 if time > $end || !$select->can_read($end - time);
        return sysread $socket, $got, 1 << 20, length $got;
    };
    my %reply;
    while ($got !~ /\r\n\r\n/) {
        if (!$more->()) {
            delete $self->{socket}{$where};
            return;
        }
    }
    my ($head, $rest) = split /\r\n\r\n/, $got, 2;
    my ($line, @fields) = split /\r\n/, $head;
    ($reply{status}) = $line =~ /^HTTP\/1\.1 (\d+)/;
    $reply{headers} = { map { my ($n, $v) = split /: */, $_, 2; (lc $n, $v) } @fields };
    my $length = $reply{headers}{'content-length'} // 0;
    $length = 0 if $reply{status} == 304 || $reply{status} == 204;
    $got = $rest;
    while (length $got < $length) {
        last unless $more->();
    }
    $reply{body} = substr $got, 0, $length;
    $reply{length} = $length;
    $reply{whole} = length $got >= $length;
    delete $self->{socket}{$where} if !$reply{whole} || ($reply{headers}{connection} // '') =~ /close/i || length $got > $length;
    return \%reply;
}

# The bytes of a 200 or 206 that says which version it is.
sub check_bytes {
    my ($self, $name, $version, $from, $total, $reply) = @_;
    my $range = $reply->{headers}{'content-range'};
    my $said = $reply->{status} == 200 ? $reply->{length} : ($range // '') =~ /^bytes $from-\d+\/(\d+)$/ ? $1 : -1;
    return $self->complain(wrong => "$name version $version: length $said instead of $total") if $said != $total;
    return if $reply->{body} eq bytes($name, $version, $reply->{status} == 200 ? 0 : $from, length $reply->{body});
    return $self->complain(wrong => "$name version $version from $from: other bytes");
}

sub read_big {
    my ($self) = @_;
    my $name = 'big-' . int rand $BIG;
    my $from = int rand $BIG_SIZE;
    my $end = $from + int rand 3 * $MIB;
    $end = $BIG_SIZE - 1 if $end >= $BIG_SIZE;
    my $reply = $self->ask($self->{pond}, GET => "/acct/long/$name", ["Range: bytes=$from-$end"]) or return $self->{errors}++;
    return $self->{errors}++ if $reply->{status} != 206;
    $self->{replies}++;
    $self->{cut}++ unless $reply->{whole};
    $self->check_bytes($name, 0, $from, $BIG_SIZE, $reply);
}

sub read_blob {
    my ($self, $blob) = @_;
    my ($from, $floor) = (0, $self->floor($blob));
    my @range;
    if (rand() < 0.5) {
        $from = int rand 3000;
        @range = ('Range: bytes=' . $from . '-' . (rand() < 0.3 ? '' : $from + int rand 2 * $MIB));
    }
    my $reply = $self->ask($self->{pond}, GET => path($blob), \@range) or return $self->{errors}++;
    my $ceiling = $self->ceiling($blob);
    my $what = path($blob) . ", may be $floor to $ceiling";
    if ($reply->{status} == 404) {
        $self->{replies}++;
        $self->complain(resurrected => "$what: is not there") unless grep { deleted($_) } $floor .. $ceiling;
        return;
    }
    return $self->{errors}++ if $reply->{status} !~ /^20[06]$/;
    $self->{replies}++;
    $self->{cut}++ unless $reply->{whole};
    my $version = $reply->{headers}{'x-ms-meta-v'} // return $self->complain(wrong => "$what: no version");
    return $self->complain(resurrected => "$what: is $version") if $version < $floor;
    return $self->complain(wrong => "$what: is $version") if $version > $ceiling || deleted($version);
    $self->check_bytes(name($blob), $version, $from, size($blob, $version), $reply);
}

# Writes the next version, through headpond or past it.
sub write_blob {
    my ($self, $blob, $past) = @_;
    my $version = $self->ceiling($blob) + 1;
    my $where = $past ? $self->{origin} : $self->{pond};
    my $target = path($blob) . "?$self->{sas}{ $containers[$blob % @containers] }";
    $self->ceiling($blob, $version);
    my $reply;
    if (deleted($version)) {
        $reply = $self->ask($where, DELETE => $target, ['Content-Length: 0']);
    } else {
        my $body = bytes(name($blob), $version, 0, size($blob, $version));
        $reply = $self->ask($where, PUT => $target,
            ['Content-Length: ' . length $body, 'x-ms-blob-type: BlockBlob', "x-ms-meta-v: $version"], $body);
    }
    # Unanswered: perhaps done, and perhaps not.
    return $self->{errors}++ if !$reply || $reply->{status} !~ /^(201|202|404)$/;
    $self->{ $past ? 'past' : 'writes' }++;
    return $self->floor($blob, $version) unless $past;
    push @{ $self->{due} }, [time + $BRIEF_SECONDS + 1.5, $blob, $version] if $blob % @containers == 0;
}

sub raise_floors {
    my ($self) = @_;
    while (@{ $self->{due} } && $self->{due}[0][0] < time) {
        my (undef, $blob, $version) = @{ shift @{ $self->{due} } };
        $self->floor($blob, $version) if $self->floor($blob) < $version;
    }
}

sub turn {
    my ($self, $storm) = @_;
    $self->raise_floors;
    return $self->read_big if $storm && rand() < 0.5;
    my $dice = rand;
    return $self->read_blob(int rand blob_count()) if $dice < 0.75;
    my $own = $self->{number} + $self->{workers} * int rand blob_count() / $self->{workers};
    $self->write_blob($own, $dice > 0.93) if $own < blob_count();
}

sub work {
    my ($self) = @_;
    srand $self->{number} + $self->{seed};
    my $port = 0;
    while (1) {
        my $word = word($self->{table}, 0);
        my $phase = $word >> 32;
        if ($port != ($word & 0xffffffff)) {
            $port = $word & 0xffffffff;
            $self->{socket} = {};
            $self->{pond} = "127.0.0.1:$port";
        }
        last if $phase == $phase{end};
        word($self->{table}, 2 + $self->{number}, $phase);
        if ($phase == $phase{pause}) {
            sleep 0.01;
            next;
        }
        my $errors = $self->{errors};
        $self->turn($phase == $phase{storm});
        # Nobody there, or not in a hurry.
        sleep 0.02 if $self->{errors} != $errors || $phase == $phase{calm};
    }
    delete @$self{qw(table socket sas due)};
    return JSON::PP->new->encode({%$self});
}

# Starts them: their process ids. Each writes what it has to say to "$dir/worker-N".
sub start {
    my ($class, %o) = @_;
    my @pids;
    for my $number (0 .. $o{workers} - 1) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            open my $table, '+<', "$o{dir}/table" or POSIX::_exit(1);
            my $self = bless { %o, number => $number, table => $table, complaints => [], due => [], socket => {},
                map { $_ => 0 } qw(replies cut errors writes past wrong resurrected) }, $class;
            my $text = eval { $self->work } // JSON::PP->new->encode({ failed => "$@" });
            open my $file, '>', "$o{dir}/worker-$number" or POSIX::_exit(1);
            print $file $text;
            close $file;
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    return @pids;
}

1;
