# SPDX-License-Identifier: Apache-2.0
# HTTP/2 frames by hand (RFC 9113), for what no client library would send. Header fields are literals without indexing, so
# nothing needs HPACK's tables; of replies only the status is read, which nghttp2 sends from the static table or literally (and
# then, to a later request of the connection, from the dynamic one, which is not followed).
package Headpond::H2;
use strict;
use warnings;
use Headpond::Http;
use IO::Select;
use Time::HiRes qw(time);

our %type = (DATA => 0, HEADERS => 1, PRIORITY => 2, RST_STREAM => 3, SETTINGS => 4, PUSH_PROMISE => 5, PING => 6, GOAWAY => 7,
    WINDOW_UPDATE => 8, CONTINUATION => 9);
my %name = reverse %type;
our $PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    my $code = $type{$type} // $type;
    return substr(pack('N', length $payload), 1) . pack('CCN', $code, $flags, $stream) . $payload;
}

sub text {
    my ($text) = @_;
    my $n = length $text;
    return pack('C', $n) . $text if $n < 127;
    my $out = pack 'C', 127;
    for ($n -= 127; $n >= 128; $n >>= 7) {
        $out .= pack 'C', $n % 128 + 128;
    }
    return $out . pack('C', $n) . $text;
}

sub fields {
    my @pairs = @_;
    my $out = '';
    while (my ($key, $value) = splice @pairs, 0, 2) {
        $out .= "\0" . text($key) . text($value);
    }
    return $out;
}

# The fields of a plain GET, and more.
sub get_fields {
    my ($path, @more) = @_;
    return fields(':method', 'GET', ':scheme', 'http', ':authority', 'x', ':path', $path, @more);
}

# A connection after the preface and our SETTINGS; `from` an address of this machine.
sub connect {
    my ($class, $address, %o) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $self = bless { socket => Headpond::Http::connect_to($address, $o{from}), buffer => '', frames => [], next => 1 }, $class;
    $self->send(($o{preface} // $PREFACE) . frame(SETTINGS => 0, 0, $o{settings} // ''));
    return $self;
}

sub send {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $at = 0;
    while ($at < length $bytes) {
        my $n = syswrite $self->{socket}, $bytes, 65536, $at;
        return 0 unless $n;
        $at += $n;
    }
    return 1;
}

# HEADERS of a whole request on the next stream, whose number comes back.
sub request {
    my ($self, $fields, $flags) = @_;
    my $stream = $self->{next};
    $self->{next} += 2;
    $self->send(frame(HEADERS => $flags // 0x5, $stream, $fields));
    return $stream;
}

# Reads frames until the code, given one, says that it was waited for; that frame, or { type => closed | silent }.
# SETTINGS and PING are answered.
sub wait_frame {
    my ($self, $want, $seconds) = @_;
    my $end = time + ($seconds // 10) * Headpond::Process::slowness();
    my $select = IO::Select->new($self->{socket});
    while (1) {
        while (length $self->{buffer} >= 9) {
            my ($high, $low, $code, $flags, $stream) = unpack 'CnCCN', $self->{buffer};
            my $length = ($high << 16) + $low;
            last if length $self->{buffer} < 9 + $length;
            my $frame = { type => $name{$code} // $code, flags => $flags, stream => $stream & 0x7fffffff,
                payload => substr $self->{buffer}, 9, $length };
            substr $self->{buffer}, 0, 9 + $length, '';
            $self->answer($frame);
            return $frame if $want->($frame);
        }
        my $left = $end - time;
        return { type => 'silent' } if $left <= 0 || !$select->can_read($left);
        my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
        return { type => 'closed' } unless $n;
    }
}

sub answer {
    my ($self, $frame) = @_;
    return if $frame->{flags} & 1;
    $self->send(frame(SETTINGS => 1, 0, '')) if $frame->{type} eq 'SETTINGS';
    $self->send(frame(PING => 1, 0, $frame->{payload})) if $frame->{type} eq 'PING';
}

# What became of a stream: a status, or ('RST_STREAM', code), or ('GOAWAY', code), or closed, or silent.
sub outcome {
    my ($self, $stream, $seconds) = @_;
    my $frame = $self->wait_frame(sub {
        my ($f) = @_;
        return $f->{type} eq 'GOAWAY' && unpack('x4N', $f->{payload}) != 0 || $f->{stream} == $stream && $f->{type} =~ /^(HEADERS|RST_STREAM)$/;
    }, $seconds);
    return ('RST_STREAM', unpack 'N', $frame->{payload}) if $frame->{type} eq 'RST_STREAM';
    return ('GOAWAY', unpack 'x4N', $frame->{payload}) if $frame->{type} eq 'GOAWAY';
    return (status_of($frame->{payload})) if $frame->{type} eq 'HEADERS';
    return ($frame->{type});
}

# HPACK's code for the digits (RFC 7541, appendix B).
my %digit = ((map { sprintf('%05b', $_) => $_ } 0 .. 2), (map { sprintf('%06b', 22 + $_) => $_ } 3 .. 9));

# The status at the start of a header block: indexed (8 to 14 of the static table) or a literal named by index 8, plain or in
# Huffman's code; else "other".
sub status_of {
    my ($block) = @_;
    my @indexed = (200, 204, 206, 304, 400, 404, 500);
    while (length $block) {
        my $byte = ord $block;
        last if ($byte & 0xe0) != 0x20; # a table size update stands first
        substr $block, 0, 1, '';
    }
    my $byte = ord $block;
    return $indexed[$byte - 0x88] if $byte >= 0x88 && $byte <= 0x8e;
    my ($length, $text) = length $block > 1 ? unpack 'xCa*', $block : (0, '');
    return 'other' unless $byte == 0x48 || $byte == 0x18 || $byte == 0x08;
    return substr $text, 0, 3 if $length == 3;
    my $bits = unpack 'B*', substr $text, 0, $length & 0x7f;
    my $status = '';
    $status .= $digit{$1} while length $status < 3 && $bits =~ s/^(00000|00001|00010|011001|0110[01][01]|0111[01][01])//;
    return $length & 0x80 && length $status == 3 ? $status : 'other';
}

# Whether the connection still answers a good request.
sub still_works {
    my ($self, $path) = @_;
    my ($status) = $self->outcome($self->request(get_fields($path)));
    return $status eq '200';
}

1;
