# SPDX-License-Identifier: Apache-2.0
# Hadoop's two clients of Azure storage, unmodified, by account key: ABFS on the Data Lake endpoint, and WASB, which asks
# for each range's MD5, on the Blob endpoint before Azurite. contrib/clients runs this; it needs a JDK and Hadoop's jars.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Headpond;
use Test::More;

my $KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
push @Headpond::Origin::secrets, $KEY;
my $jars = $ENV{HEADPOND_HADOOP_JARS} or die "HEADPOND_HADOOP_JARS names no folder of jars; contrib/clients sets it\n";
my $dir = Headpond->folder;

sub write_file {
    my ($name, $text) = @_;
    open my $file, '>', "$dir/$name" or die;
    print $file $text;
    close $file;
}
write_file(key => "$KEY\n");

# Reads a file by Hadoop in a Java of its own; what it printed, or a failed check.
sub hadoop_reads {
    my ($what, $uri, @config) = @_;
    my ($host) = $uri =~ m{\@([^/:]+)};
    write_file(hosts => "127.0.0.1 $host localhost\n");
    my ($status, $out, $errors) = Headpond::Process->run(
        command => ['java', "-Djdk.net.hosts.file=$dir/hosts", '-cp', "$jars/*", "$FindBin::Bin/HadoopRead.java", $uri,
            'fs.azure.io.retry.max.retries=2', @config]);
    is($status, 0, "$what: reads whole and in ranges") or diag("$out$errors");
    return $out =~ /^(length=\d+ .*)$/m ? $1 : '';
}

sub bypasses { my ($pond) = @_; return $pond->metric('headpond_requests_total', method => 'GET', cache => 'bypass') // 0 }

subtest 'ABFS' => sub {
    my $origin = Headpond::Origin->start;
    $origin->container('acct/fs', public => 1);
    my $size = 9 * 1024 * 1024 + 5;
    $origin->blob('/acct/fs/dir/file', size => $size, seed => 1, map { ("header-x-ms-$_->[0]" => $_->[1]) }
        ['resource-type' => 'file'], [owner => 'alice'], [group => 'staff'], [permissions => 'rw-r-----']);
    my $pond = Headpond->start(origin => $origin, account => {
        key_file => "$dir/key", authorize => 'key', dfs_origin => "http://$origin->{address}/acct", freshness => '3600s' });
    my ($port) = $pond->{http} =~ /:(\d+)$/;
    my $account = "acct.dfs.localhost:$port";
    my @config = ("fs.azure.account.key.$account=$KEY", 'fs.azure.always.use.https=false', 'fs.azure.account.hns.enabled=true');
    my $cold = hadoop_reads('cold', "abfs://fs\@$account/dir/file", @config);
    like($cold, qr/^length=$size owner=alice /, 'what the file is');
    $pond->settle;
    $origin->reset_stats;
    is(hadoop_reads('warm', "abfs://fs\@$account/dir/file", @config), $cold, 'the same again');
    is($origin->stats->{requests}, 0, 'and the origin was not asked');
    is(bypasses($pond), 0, 'nothing was passed through');
    $pond->stop;
};

subtest 'WASB' => sub {
    my $modules = $ENV{HEADPOND_NODE_MODULES} or die "HEADPOND_NODE_MODULES is not set\n";
    my $azurite = Headpond::Process->start(log => "$dir/azurite.err", out => "$dir/azurite.out",
        command => [$ENV{HEADPOND_NODE} || 'node', "$modules/azurite/dist/src/blob/main.js", '--blobHost', '127.0.0.1', '--blobPort', '0',
            '--skipApiVersionCheck', '--loose', '--inMemoryPersistence', '--disableTelemetry']);
    my ($service) = $azurite->wait_log(qr/listens on http:\/\/127\.0\.0\.1:(\d+)/, 60, "$dir/azurite.out") or die;
    my $name = 'devstoreaccount1';
    my $pond = Headpond->start(config => { accounts => [{ name => $name, origin => "http://127.0.0.1:$service/$name",
        key_file => "$dir/key", authorize => 'key', freshness => '3600s' }] });
    my ($port) = $pond->{http} =~ /:(\d+)$/;
    write_file('upload.py', "import os\nfrom azure.storage.blob import BlobServiceClient\n"
        . "s = BlobServiceClient('http://$pond->{http}/$name', credential={'account_name': '$name', 'account_key': '$KEY'})\n"
        . "s.create_container('cont').upload_blob('dir/file', os.urandom(9000000))\n");
    is(system('/usr/bin/python3', "$dir/upload.py"), 0, 'a file is there');
    my $account = "$name.blob.localhost:$port";
    my @config = ("fs.azure.account.key.$account=$KEY");
    my $cold = hadoop_reads('cold', "wasb://cont\@$account/dir/file", @config);
    like($cold, qr/^length=9000000 /, 'what the file is');
    $pond->settle;
    my $before = $pond->metric('headpond_origin_bytes_total');
    is(hadoop_reads('warm', "wasb://cont\@$account/dir/file", @config), $cold, 'the same again');
    cmp_ok($pond->metric('headpond_origin_bytes_total') - $before, '<', 10_000, 'and no data was fetched');
    is(bypasses($pond), 0, 'ranges with their MD5 included, nothing was passed through');
    $pond->stop;
    $azurite->stop;
};

done_testing();
