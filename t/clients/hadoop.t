# SPDX-License-Identifier: Apache-2.0
# Hadoop's two clients of Azure storage, unmodified: ABFS on the Data Lake endpoint, by account key, SAS and OAuth over TLS, and
# WASB, which asks for each range's MD5, by account key and SAS on the Blob endpoint before Azurite. contrib/clients runs this; it
# needs a JDK and the jars.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_hex);
use Headpond;
use Headpond::Authority;
use Headpond::Azurite;
use Headpond::Java;
use Test::More;

my $KEY = $Headpond::Azurite::key;
push @Headpond::Origin::secrets, $KEY;
my $dir = Headpond->folder;

sub write_file {
    my ($name, $text) = @_;
    Headpond::Process::spew("$dir/$name", $text);
}
write_file(key => "$KEY\n");

# Hadoop in a Java of its own: the wait status, what it printed and what it complained of.
sub run_hadoop {
    my ($uri, @config) = @_;
    my ($host) = $uri =~ m{\@([^/:]+)};
    return Headpond::Java::run('HadoopRead', $host, $uri, 'fs.azure.io.retry.max.retries=2', @config);
}

# What it printed of a file, or a failed check.
sub hadoop_reads {
    my ($what, @arguments) = @_;
    my ($status, $out, $errors) = run_hadoop(@arguments);
    is($status, 0, "$what: reads whole and in ranges") or diag("$out$errors");
    return $out =~ /^(length=\d+ .*)$/m ? $1 : '';
}

sub bypasses { my ($pond) = @_; return $pond->metric('headpond_requests_total', method => 'GET', cache => 'bypass') // 0 }

my $SIZE = 9 * 1024 * 1024 + 5;
my %file = (size => $SIZE, seed => 1, map { ("header-x-ms-$_->[0]" => $_->[1]) }
    ['resource-type' => 'file'], [owner => 'alice'], [group => 'staff'], [permissions => 'rw-r-----']);

for my $credential ('account key', 'SAS') {
    subtest "ABFS by $credential" => sub {
        my $origin = Headpond::Origin->start;
        $origin->container('acct/fs');
        $origin->blob('/acct/fs/dir/file', %file);
        my $sas = $origin->sas('/acct/fs');
        my $expected = "length=$SIZE owner=alice sha256=" . sha256_hex($origin->bytes('/acct/fs/dir/file', undef, $sas));
        my %judge = $credential eq 'SAS' ? (authorize_ttl => '3600s') : (key_file => "$dir/key", authorize => 'key');
        my $pond = Headpond->start(origin => $origin, account => {
            %judge, dfs_origin => "http://$origin->{address}/acct", freshness => '3600s' });
        my ($port) = $pond->{http} =~ /:(\d+)$/;
        my $account = "acct.dfs.localhost:$port";
        my @credential = $credential eq 'SAS' ? ('fs.azure.account.auth.type=SAS', "fs.azure.sas.fixed.token=$sas")
            : "fs.azure.account.key.$account=$KEY";
        my @file = ("abfs://fs\@$account/dir/file", 'fs.azure.always.use.https=false', 'fs.azure.account.hns.enabled=true', @credential);
        $origin->reset_stats;
        is(hadoop_reads('cold', @file), $expected, 'what the file is');
        $pond->settle;
        note('cold: requests at the origin: ', $origin->stats->{requests}, ', with data: ', $origin->data_requests);
        cmp_ok($origin->data_requests, '>', 0, 'it came from the origin');
        $origin->reset_stats;
        is(hadoop_reads('warm', @file), $expected, 'the same again');
        is($origin->stats->{requests}, 0, 'and the origin was not asked');
        is(bypasses($pond), 0, 'nothing was passed through');
        $pond->stop;
        $origin->stop;
    };
}

subtest 'ABFS by OAuth over TLS' => sub {
    my $origin = Headpond::Origin->start(tls => 1);
    $origin->account('acct', challenge => 1);
    $origin->container('acct/fs');
    $origin->blob('/acct/fs/dir/file', %file);
    my $expected = "length=$SIZE owner=alice sha256=" . sha256_hex($origin->bytes('/acct/fs/dir/file', undef, $origin->sas('/acct/fs')));
    my $authority = Headpond::Authority->start;
    my $url = "https://$origin->{tls_address}/acct";
    my $pond = Headpond->start(config => { accounts => [{ name => 'acct', origin => $url, dfs_origin => $url,
        origin_ca => $Headpond::tls{certificate}, freshness => '3600s', authorize_ttl => '3600s' }] });
    my ($port) = $pond->{https} =~ /:(\d+)$/;
    my @file = ("abfss://fs\@acct.dfs.localhost:$port/dir/file", 'fs.azure.account.hns.enabled=true', $authority->hadoop);
    my $hits = sub { $pond->metric('headpond_requests_total', cache => 'hit') };

    # The same token again, and another one that the origin has not been asked about.
    my ($token, $other) = map { $origin->bearer('/acct/fs') } 1, 2;
    for (['cold', $token], ['warm', $token], ['another token', $other]) {
        my ($what, $given) = @$_;
        $authority->gives($given);
        $origin->reset_stats;
        my $before = $authority->given;
        is(hadoop_reads($what, @file), $expected, 'what the file is');
        $pond->settle;
        cmp_ok($authority->given, '>', $before, 'by a token from the authority');
        my ($asked, $data) = ($origin->stats->{requests}, $origin->data_requests);
        note("$what: requests at the origin: $asked, with data: $data");
        if ($what eq 'cold') {
            cmp_ok($data, '>', 0, 'it came from the origin');
        } else {
            is($data, 0, 'no data did');
            cmp_ok($asked, $given eq $token ? '==' : '>', 0, 'it was asked about the new token only');
        }
    }
    is(bypasses($pond), 0, 'nothing was passed through');

    $authority->gives($origin->bearer('/acct/fs', unknown => 1));
    $origin->reset_stats;
    my $before = $hits->();
    my ($status, $out, $errors) = run_hadoop(@file);
    isnt($status, 0, 'a token that the origin does not know: it fails');
    like("$out$errors", qr/\b401\b/, 'refused');
    is($hits->(), $before, 'by no hit');
    cmp_ok($origin->stats->{requests}, '>', 0, 'the origin was asked');
    $pond->stop;
    $authority->stop;
    $origin->stop;
};

subtest 'WASB' => sub {
    my $azurite = Headpond::Azurite->start;
    my $name = $Headpond::Azurite::account;
    my %config = (accounts => [{ name => $name, origin => "http://$azurite->{address}/$name", key_file => "$dir/key", authorize => 'key',
        freshness => '3600s' }]);
    write_file('upload.py', <<~"END");
        import datetime, hashlib, os
        from azure.storage.blob import BlobServiceClient, generate_container_sas
        service = BlobServiceClient('http://$azurite->{address}/$name', credential={'account_name': '$name', 'account_key': '$KEY'})
        data = os.urandom(9000000)
        service.create_container('cont').upload_blob('dir/file', data)
        print(hashlib.sha256(data).hexdigest())
        print(generate_container_sas('$name', 'cont', account_key='$KEY', permission='rl',
                                     expiry=datetime.datetime.utcnow() + datetime.timedelta(hours=1)))
        END
    my ($status, $out, $errors) = Headpond::Process->run(command => ['/usr/bin/python3', "$dir/upload.py"]);
    is($status, 0, 'a file is there') or diag($errors);
    my ($digest, $sas) = split /\n/, $out;
    push @Headpond::Origin::secrets, $sas =~ /\bsig=([^&]+)/;
    for my $credential ('account key', 'SAS') {
        my $pond = Headpond->start(config => \%config);
        my ($port) = $pond->{http} =~ /:(\d+)$/;
        my $account = "$name.blob.localhost:$port";
        my @file = ("wasb://cont\@$account/dir/file",
            $credential eq 'SAS' ? "fs.azure.sas.cont.$account=$sas" : "fs.azure.account.key.$account=$KEY");
        for my $when (qw(cold warm)) {
            my @before = $azurite->reads;
            like(hadoop_reads("$credential, $when", @file), qr/^length=9000000 .* sha256=$digest$/, 'what the file is');
            $pond->settle;
            my @after = $azurite->reads;
            my ($asked, $data) = map { $after[$_] - $before[$_] } 0, 1;
            note("$when: reads at the origin: $asked, with data: $data");
            $when eq 'cold' ? cmp_ok($data, '>', 0, 'it came from the origin') : is($data, 0, 'no data did');
        }
        is(bypasses($pond), 0, 'ranges with their MD5 included, nothing was passed through');
        $pond->stop;
    }
    $azurite->stop;
};

done_testing();
